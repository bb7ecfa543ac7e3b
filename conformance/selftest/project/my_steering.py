"""A user's own steering: one that is right, and others whose bugs are their names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_steering.fixtures.known_bad.honest import Honest
from torch import Tensor, nn

from pytest_steering import Architecture, Capability, SteeringPlan
from pytest_steering.steering.token_positions import PassPositions


class Right(Honest):
    """Steers as it should."""

    def running(self, passes: PassPositions) -> Any:
        return self.model


class InSingles(Right):
    """Multiplies as the README does: the product of single precision is rounded."""

    def delta(self, layer: int, plan: SteeringPlan) -> Tensor:
        return (plan.scale * plan.vectors[layer]).to(self.architecture.decoder_layers[layer].dtype)


class RoundedFirst(Right):
    """Keeps the vector in the dtype of the model."""

    def delta(self, layer: int, plan: SteeringPlan) -> Tensor:
        return plan.scale * plan.vectors[layer].to(self.architecture.decoder_layers[layer].dtype)


class FirstRowOnly(Right):
    """Steers the first row of a batch."""

    def add(self, residual: Tensor, delta: Tensor, plan: SteeringPlan) -> Tensor:
        steered = residual.clone()
        steered[0] += delta
        return steered


class Old(FirstRowOnly):
    """Gives itself another name, and a version."""

    version = "0.3"

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        super().__init__(model, architecture)
        self.name = "OldAdapter"


class Lazy(Right):
    """No hook fires."""

    def hook(self, layer: int, vector: Tensor, plan: SteeringPlan, passes: PassPositions) -> Any:
        return lambda *_: None


class Raising(Right):
    """Stumbles over nothing."""

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Any]:
        nothing: Any = None
        yield nothing[0]


class Timid(Right):
    """Declares nothing."""

    capabilities: frozenset[Capability] = frozenset()


class Broken(Right):
    """Cannot be built."""

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        raise KeyError("h")


class Misusing(Right):
    """Calls this package with what it cannot mean."""

    def check(self, plan: SteeringPlan) -> None:
        nothing: Any = None
        plan.check(nothing)
