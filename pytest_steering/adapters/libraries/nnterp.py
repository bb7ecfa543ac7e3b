"""Steering through nnterp: its ``steer`` inside an nnsight trace of the renamed model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnterp import StandardizedTransformer
from torch import nn

from pytest_steering.adapters.libraries import refusal, version
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.inputs import input_tokens
from pytest_steering.architecture.model import Architecture
from pytest_steering.byte_tokenizer import tiny_tokenizer
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import Positions, SteeringPlan


class NnterpAdapter(SteeringAdapter):
    """Steers by ``model.steer(layers, steering_vector, factor)`` inside ``model.trace``, as the README shows.

    Promised: ``layers`` ("the layer(s) to steer"), a call of ``steer`` for each vector, "if None, all batch elements
    are steered", and "token positions to steer along the sequence dimension. If None, all positions are steered".
    Generation is that of nnsight's ``LanguageModel``, which nnterp's own ``patchscope_generate`` uses too. Padding,
    beams, caches, compiled models, gradients and nesting are not spoken of.
    """

    name = "nnterp"
    version = version("nnterp")
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
        try:
            self.standardized: Any = StandardizedTransformer(model, tokenizer=tiny_tokenizer())
        except Exception as error:
            raise refusal(self.name, model, error) from error

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Any]:
        """The yielded object traces each of its calls and steers inside the trace."""
        plan.check_every_row(self.name)
        yield _Traced(self.standardized, plan)


class _Traced:
    """A model whose calls run under a trace that steers."""

    def __init__(self, standardized: Any, plan: SteeringPlan) -> None:
        self._model, self._plan = standardized, plan

    def __call__(self, **inputs: Any) -> Any:
        model, plan = self._model, self._plan
        where = _columns(plan.positions, input_tokens(inputs).shape[1], 0)
        with model.trace(inputs):
            if where != []:
                for layer in sorted(plan.vectors):
                    model.steer(layer, plan.vectors[layer], plan.scale, token_positions=where)
            output = model.output.save()
        return output  # noqa: RET504 (what is returned inside a trace never returns)

    def generate(self, **options: Any) -> Any:
        """What the model generates; ``steer`` is called in every pass, with the columns that the pass holds."""
        model, plan = self._model, self._plan
        inputs: dict[str, Any] = {
            name: options.pop(name) for name in ("input_ids", "attention_mask") if name in options
        }
        prompt = input_tokens(inputs).shape[1]
        with model.generate(inputs, **options) as tracer:
            for number in tracer.iter[: options["max_new_tokens"]]:
                where = _columns(plan.positions, prompt, number)
                if where != []:
                    for layer in sorted(plan.vectors):
                        model.steer(layer, plan.vectors[layer], plan.scale, token_positions=where)
            output = tracer.result.save()
        return output  # noqa: RET504 (as above)


def _columns(positions: Positions, prompt: int, number: int) -> list[int] | None:
    """The token positions to steer in a pass: ``None`` for all of them, an empty list for none."""
    if positions is Positions.ALL:
        return None
    if number:
        return [] if positions is Positions.PROMPT else None
    return {Positions.PROMPT: None, Positions.LAST: [prompt - 1]}.get(positions, [])
