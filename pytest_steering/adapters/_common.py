"""What every built-in adapter does to a residual stream: add the scaled steering vector where the mask says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.architecture.inputs import input_mask, input_tokens
from pytest_steering.architecture.model import Architecture, DecoderLayer
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.steering.token_positions import PassPositions


def scaled(plan: SteeringPlan, layer: int, dtype: torch.dtype) -> Tensor:
    """``scale * vector`` in ``dtype``, rounded once from double precision."""
    return (plan.vectors[layer].double() * plan.scale).to(dtype)


def steps(plan: SteeringPlan, architecture: Architecture) -> dict[int, Step]:
    """One step for each steered layer of a plan that was checked."""
    return {layer: Step(plan, layer, architecture.decoder_layers[layer]) for layer in plan.vectors}


class Step:
    """Adds ``scale * vector`` to what one decoder layer emits."""

    def __init__(self, plan: SteeringPlan, layer: int, decoder_layer: DecoderLayer) -> None:
        self._layout = decoder_layer.layout
        self._plan, self._layer = plan, layer
        self._delta = scaled(plan, layer, torch.float64).detach()
        self._learnt = plan.vectors[layer].requires_grad
        self._idle = plan.scale == 0
        self._placed: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def __call__(self, output: Any, mask: Tensor | bool) -> Any:
        """``output`` with the residual stream steered where ``mask`` is true; ``output`` itself when nowhere."""
        if self._idle or mask is False:
            return output
        residual = self._layout.read(output)
        steered = residual + self._like(residual)
        if isinstance(mask, Tensor):
            where = self._layout.spread(mask.to(residual.device), residual)
            steered = torch.where(where, steered, residual)
        return self._layout.write(output, steered)

    def _like(self, residual: Tensor) -> Tensor:
        """The scaled vector in the dtype of the residual stream, which autocast may have changed."""
        if self._learnt:
            # Each pass has a graph of its own: that of the last one is gone with its gradients.
            return scaled(self._plan, self._layer, residual.dtype).to(residual.device)
        place = residual.device, residual.dtype
        if place not in self._placed:
            self._placed[place] = self._delta.to(residual.dtype).to(residual.device)
        return self._placed[place]


class Steered:
    """A model that is called and generates like itself, with ``_run`` around each call."""

    def __init__(self, model: nn.Module, passes: PassPositions) -> None:
        self._model = model
        self._passes = passes

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the model returns, steered."""
        with self._passes.generation.outside():
            return self._run(self._model, args, kwargs)

    def generate(self, inputs: Tensor | None = None, **options: Any) -> Any:
        """What the model generates, steered in every pass."""
        given = options if inputs is None else {"input_ids": inputs, **options}
        with self._passes.generating(input_tokens(given), input_mask(given)):
            generate: Callable[..., Any] = self._model.generate  # type: ignore[assignment]
            return self._run(generate, () if inputs is None else (inputs,), options)

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return function(*args, **kwargs)
