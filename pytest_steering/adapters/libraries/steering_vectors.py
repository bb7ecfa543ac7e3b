"""Steering through steering-vectors: forward hooks on the layers that it guesses from the names of the modules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from steering_vectors import SteeringVector
from torch import Tensor, nn

from pytest_steering.adapters.libraries import refusal, version
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.inputs import input_tokens
from pytest_steering.architecture.model import Architecture
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import Positions, SteeringPlan


class SteeringVectorsAdapter(SteeringAdapter):
    """Steers inside ``SteeringVector(...).apply(model, multiplier=...)``, as the documentation's basic usage shows.

    Promised: a vector for each of several layers ("will train a vector at all layers of the model"); "the steering
    vector will be applied to all tokens in the input", of every row; "when the model is responding to a prompt" for
    generation; and for positions "only tokens 10 and later will be affected" (``min_token_index``) or "a slice"
    (``token_indices``). Padding, beams, caches, compiled models, gradients and nesting are not spoken of.
    """

    name = "steering-vectors"
    version = version("steering-vectors")
    capabilities = frozenset(
        {
            Capability.MULTI_LAYER,
            Capability.PER_LAYER_VECTORS,
            Capability.LAST,
            Capability.PROMPT,
            Capability.GENERATED,
            Capability.BATCH,
            Capability.GENERATE,
        }
    )

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.model: Any = model
        try:
            SteeringVector({}).patch_activations(self.model).remove()
        except Exception as error:
            raise refusal(self.name, model, error) from error

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Any]:
        """The model itself while all positions are steered, else one that is told the positions of each call."""
        plan.check_every_row(self.name)
        vector = SteeringVector(dict(plan.vectors))
        if plan.positions is not Positions.ALL:
            yield _Somewhere(self.model, vector, plan)
            return
        with vector.apply(self.model, multiplier=plan.scale):
            yield self.model


class _Somewhere:
    """A model that is steered from or up to a token index, counted from the begin of the prompt."""

    def __init__(self, model: Any, vector: Any, plan: SteeringPlan) -> None:
        self._model, self._vector, self._plan = model, vector, plan

    def __call__(self, **inputs: Any) -> Any:
        with self._applied(input_tokens(inputs)):
            return self._model(**inputs)

    def generate(self, **options: Any) -> Any:
        """What the model generates, steered at the positions of the plan."""
        with self._applied(input_tokens(options)):
            return self._model.generate(**options)

    def _applied(self, prompt: Tensor) -> Any:
        columns = prompt.shape[1]
        where: dict[Positions, dict[str, Any]] = {
            Positions.PROMPT: {"token_indices": slice(0, columns)},
            Positions.LAST: {"min_token_index": columns - 1},
            Positions.GENERATED: {"min_token_index": columns},
        }
        return self._vector.apply(self._model, multiplier=self._plan.scale, **where[self._plan.positions])
