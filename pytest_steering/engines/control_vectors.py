"""A plan as llama.cpp's control vectors, and the calls that a request is cut into; without llama.cpp."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np

from pytest_steering.architecture.model import Architecture
from pytest_steering.engines.protocol import Request
from pytest_steering.steering.plan import Positions, SteeringPlan


@dataclass(frozen=True)
class Buffer:
    """Float32 numbers of one vector for each layer from 1 on, and the layers that they are for; equal by contents."""

    numbers: bytes
    first: int
    last: int

    @property
    def length(self) -> int:
        """How many numbers there are."""
        return len(self.numbers) // np.dtype(np.float32).itemsize


def buffer_of(
    plan: SteeringPlan, architecture: Architecture, steerable: Collection[int] | None = None
) -> Buffer | None:
    """What steers as the plan says, ``None`` where that is not at all.

    ``ValueError`` where it does not fit: another width, a layer that is not there or not ``steerable`` (from 1 on,
    unless more is known), and also a NaN that was written into a vector since the plan was made: llama.cpp takes it.
    """
    copy(plan).check(architecture)
    steerable = range(1, architecture.num_layers) if steerable is None else steerable
    for layer in plan.vectors:
        if layer not in steerable:
            reason = "has none for layer 0" if not layer else "adds none there in this model"
            raise ValueError(f"layer {layer} cannot be steered by a control vector: llama.cpp {reason}")
    if not plan.scale:
        return None
    numbers = np.zeros((architecture.num_layers - 1, architecture.hidden_size), np.float32)
    for layer, vector in plan.vectors.items():
        numbers[layer - 1] = (vector.detach().cpu().double() * plan.scale).float().numpy()
    if not np.isfinite(numbers).all():
        raise ValueError(f"scale {plan.scale:g} times the steering vector overflows float32")
    return Buffer(numbers.tobytes(), min(plan.vectors), max(plan.vectors))


def parts(request: Request) -> tuple[list[tuple[int, int, bool]], bool]:
    """The prompt in parts, each with its start, its end and whether it is steered; and whether what follows is."""
    length = len(request.prompt)
    positions = Positions.ALL if request.plan is None else request.plan.positions
    border = {Positions.LAST: length - 1, Positions.GENERATED: length}.get(positions, 0)
    return list(_parts(border, length)), positions is not Positions.PROMPT


def _parts(border: int, length: int) -> Iterator[tuple[int, int, bool]]:
    if border:
        yield 0, border, False
    if border < length:
        yield border, length, True
