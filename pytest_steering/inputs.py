"""Seeded inputs: made on the CPU, so that their values are the same on every device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Tensor

if TYPE_CHECKING:
    from pytest_steering.target import Target

Side = Literal["left", "right"]

LENGTHS = (7, 4, 5)


def seeded_vector(target: Target, layer: int = 0, seed: int = 0) -> Tensor:
    """A float32 vector ``(hidden_size,)`` of zero mean and unit root mean square, one per layer and seed."""
    architecture = target.architecture
    if not 0 <= layer < architecture.num_layers:
        raise ValueError(
            f"there is no decoder layer {layer}: "
            f"{architecture.layers_path} has layers 0 to {architecture.num_layers - 1}"
        )
    return zero_mean(architecture.hidden_size, 1_000_003 * seed + layer).to(target.device)


def zero_mean(width: int, seed: int) -> Tensor:
    """Random float32 values ``(width,)`` on the CPU, of zero mean and unit root mean square."""
    values = torch.randn(width, generator=torch.Generator().manual_seed(seed))
    values -= values.mean()
    return values / values.square().mean().sqrt()


class Batch(dict[str, Tensor]):
    """Token ids and attention mask of rows of unequal lengths, by the names that the model takes them by."""

    rows: tuple[Tensor, ...]
    target: Target

    @classmethod
    def seeded(cls, target: Target, lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> Self:
        """Rows of random token ids, padded on the right."""
        generator = torch.Generator().manual_seed(seed)
        rows = tuple(torch.randint(target.vocab_size, (length,), generator=generator) for length in lengths)
        return cls.of(rows, target)

    @classmethod
    def of(cls, rows: tuple[Tensor, ...], target: Target, side: Side = "right") -> Self:
        """The rows as one batch, padded on one side."""
        width = max(len(row) for row in rows)
        ids = torch.full((len(rows), width), target.pad_token_id, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            columns = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
            ids[number, columns] = row
            mask[number, columns] = 1
        batch = cls(target.architecture.feed.inputs(ids.to(target.device), mask.to(target.device)))
        batch.rows, batch.target = rows, target
        return batch

    def padded(self, side: Side) -> Self:
        """The same rows, padded on ``side``."""
        return self.of(self.rows, self.target, side)
