"""Seeded plans: which layers are tried, with vectors as large as the residual stream that they are added to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pytest_steering.architecture.model import Architecture
from pytest_steering.oracle.inputs import zero_mean
from pytest_steering.oracle.unsteered import Unsteered
from pytest_steering.steering.plan import Positions, SteeringPlan


class Plans:
    """Plans for one model; the same seed gives the same vectors on every device."""

    def __init__(self, architecture: Architecture, unsteered: Unsteered) -> None:
        self._architecture = architecture
        self._unsteered = unsteered

    def layers(self, where: str) -> list[int]:
        """The decoder layers that ``first``, ``middle`` or ``last`` stands for.

        The middle brings along one layer of each block class that the other places leave out.
        """
        last = self._architecture.num_layers - 1
        if where == "first":
            return [0]
        if where == "last":
            return [last]
        chosen = [last // 2 + last % 2]
        classes = self._architecture.block_classes
        seen = {classes[index] for index in (0, *chosen, last)}
        for index, name in enumerate(classes):
            if name not in seen:
                seen.add(name)
                chosen.append(index)
        return sorted(chosen)

    def vector(self, layer: int, seed: int = 0) -> Tensor:
        """A seeded zero-mean steering vector as large as the residual stream after ``layer``: float32, on the CPU.

        Zero mean, because a constant vanishes under LayerNorm; as large as the residual stream, because a small one
        is absorbed by rounding in half precision.
        """
        seeded = zero_mean(self._architecture.hidden_size, 1000 * layer + seed)
        return seeded * self._unsteered.residual_size(layer)

    def plan(
        self,
        layers: Sequence[int],
        scale: float = 1.0,
        positions: Positions = Positions.ALL,
        *,
        seed: int = 0,
    ) -> SteeringPlan:
        """A plan with a vector of its own for each layer, smaller where the scale would take it near overflow."""
        vectors = {layer: self.vector(layer, seed) for layer in layers}
        return SteeringPlan({layer: self.within(layer, vectors[layer], scale) for layer in layers}, scale, positions)

    def most(self, layer: int) -> float:
        """How large an element may be that is added after ``layer``: three more doublings do not overflow.

        A vector in single precision may be scaled in it whatever the dtype of the residual stream.
        """
        dtypes = (self._architecture.decoder_layers[layer].dtype, torch.float32)
        return min(torch.finfo(dtype).max for dtype in dtypes) / 8

    def within(self, layer: int, vector: Tensor, scale: float) -> Tensor:
        """The vector itself, or as much of it as ``scale`` times it is no larger than :meth:`most`.

        In float16, a hundred times a residual stream of ordinary size is infinite.
        """
        largest = float(vector.abs().amax()) * abs(scale)
        return vector if largest <= self.most(layer) else vector * (self.most(layer) / largest)
