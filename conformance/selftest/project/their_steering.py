"""Steering of somebody who imports of this package what the README does: one that is right, others with bugs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pytest_steering import Capability


class Plain:
    """Steers every token as it should."""

    name = "plain"
    capabilities = frozenset({Capability.BATCH, Capability.MULTI_LAYER, Capability.GENERATE, Capability.CACHE})

    def __init__(self, model: Any, architecture: Any) -> None:
        self.model, self.architecture = model, architecture

    @contextmanager
    def steer(self, plan: Any) -> Iterator[Any]:
        plan.check(self.architecture)
        hooks = [
            self.architecture.layers[layer].register_forward_hook(self.hook(layer, plan)) for layer in plan.vectors
        ]
        try:
            yield self.model
        finally:
            for hook in hooks:
                hook.remove()

    def hook(self, layer: int, plan: Any) -> Callable[..., Any]:
        delta = plan.scale * plan.vectors[layer].double()

        def steered(_module: Any, _args: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (self.add(output[0], delta.to(output[0])), *output[1:])
            return self.add(output, delta.to(output))

        return steered

    def add(self, residual: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
        return residual + delta


class FirstRow(Plain):
    """Steers the first row of a batch."""

    def add(self, residual: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
        return torch.cat((residual[:1] + delta, residual[1:]))


class PromptOnly(Plain):
    """Steers no pass of one token."""

    def add(self, residual: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
        return residual + delta if residual.shape[1] > 1 else residual


class Stronger(Plain):
    """Steers a tenth more than it was asked to."""

    def add(self, residual: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
        return residual + 1.1 * delta


class Leaving(Plain):
    """Leaves its hooks on the model."""

    @contextmanager
    def steer(self, plan: Any) -> Iterator[Any]:
        for layer in plan.vectors:
            self.architecture.layers[layer].register_forward_hook(self.hook(layer, plan))
        yield self.model
