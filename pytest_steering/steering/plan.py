"""What to steer: a steering vector per decoder layer, a scale, and token positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from pytest_steering.architecture.model import Architecture


class Positions(StrEnum):
    """Which token positions are steered, for a prompt of length P, whatever the KV cache holds."""

    ALL = "all"
    """Every real token."""
    LAST = "last"
    """The final prompt token and every generated one (t ≥ P-1): those whose logits choose the next token."""
    PROMPT = "prompt"
    """Every real token of the prompt (t < P)."""
    GENERATED = "generated"
    """Every generated token (t ≥ P)."""


@dataclass(frozen=True, eq=False)
class SteeringPlan:
    """What decoder layer ``i`` emits becomes ``h + scale * vectors[i]`` at ``positions`` and stays as it is elsewhere.

    ``vectors`` maps a decoder layer index to a steering vector of shape ``(hidden_size,)``. ``rows`` are those of the
    batch that are steered, as the caller counts them, with all that a search makes of each; ``None`` are all, and one
    that a batch does not have is nobody's. Nested blocks of other rows give each row a plan of its own.

    A plan that could mean nothing (no vector, another rank, a NaN or infinity, a negative index) raises ``ValueError``
    when it is made; one that does not fit a model raises it in :meth:`check`. A plan is equal to itself alone; it can
    be copied and pickled.
    """

    vectors: Mapping[int, Tensor]
    scale: float = 1.0
    positions: Positions = Positions.ALL
    rows: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.vectors:
            raise ValueError("a steering plan needs at least one steering vector; got none")
        for layer, vector in self.vectors.items():
            _check_vector(layer, vector)
        if not abs(float(self.scale)) <= torch.finfo(torch.float32).max:
            raise ValueError(f"the scale must be a finite number that float32 can hold; got {self.scale}")
        object.__setattr__(self, "vectors", MappingProxyType(dict(self.vectors)))
        object.__setattr__(self, "positions", Positions(self.positions))
        if self.rows is not None:
            object.__setattr__(self, "rows", _checked_rows(self.rows))

    def __reduce__(self) -> tuple[object, ...]:
        return SteeringPlan, (dict(self.vectors), self.scale, self.positions, self.rows)

    def check(self, architecture: Architecture) -> None:
        """The plan fits the model, or ``ValueError`` names the layer, the width or the scale that does not.

        A scaled vector that overflows the dtype of the residual stream would send infinities down the model.
        """
        for layer, vector in self.vectors.items():
            if layer >= architecture.num_layers:
                raise ValueError(
                    f"there is no decoder layer {layer}: {architecture.layers_path} has layers "
                    f"0 to {architecture.num_layers - 1}"
                )
            if vector.shape[0] != architecture.hidden_size:
                raise ValueError(
                    f"the steering vector of layer {layer} has {vector.shape[0]} elements; "
                    f"the residual stream of {architecture.layers_path} is {architecture.hidden_size} wide"
                )
            dtype = architecture.decoder_layers[layer].dtype
            if not bool(torch.isfinite((vector.detach().double() * self.scale).to(dtype)).all()):
                raise ValueError(
                    f"scale {self.scale:g} times the steering vector of layer {layer} overflows "
                    f"{str(dtype).removeprefix('torch.')}, the dtype of the residual stream"
                )

    def check_every_row(self, by: str) -> None:
        """The plan steers all rows, or ``ValueError`` says that ``by`` cannot tell them apart."""
        if self.rows is not None:
            raise ValueError(f"{by} steers every row of a batch; it cannot steer rows {', '.join(map(str, self.rows))}")


def _checked_rows(rows: Iterable[object]) -> tuple[int, ...]:
    found = tuple(rows)
    whole = [row for row in found if isinstance(row, int) and not isinstance(row, bool) and row >= 0]
    if not found or len(whole) != len(found):
        raise ValueError(f"the rows of a plan are whole numbers from 0, at least one; got {found}")
    return tuple(sorted(set(whole)))


def _check_vector(layer: object, vector: object) -> None:
    if isinstance(layer, bool) or not isinstance(layer, int) or layer < 0:
        raise ValueError(f"a decoder layer index is a whole number from 0; got {layer!r}")
    if not isinstance(vector, Tensor) or not vector.is_floating_point():
        kind = vector.dtype if isinstance(vector, Tensor) else type(vector).__name__
        raise ValueError(f"the steering vector of layer {layer} must be a floating-point tensor; got {kind}")
    if vector.ndim != 1:
        raise ValueError(
            f"the steering vector of layer {layer} must have shape (hidden_size,); got {tuple(vector.shape)}"
        )
    if not bool(torch.isfinite(vector).all()):
        raise ValueError(f"the steering vector of layer {layer} holds a NaN or an infinity")
