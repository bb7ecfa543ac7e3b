"""Seeded inputs: made on the CPU, so that their values are the same on every device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import torch
from torch import Tensor

from pytest_steering.steering.plan import Positions
from pytest_steering.targets.target import Target

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
        batch = cls(target.architecture.model_inputs.inputs(ids.to(target.device), mask.to(target.device)))
        batch.rows, batch.target = rows, target
        return batch

    def padded(self, side: Side) -> Self:
        """The same rows, padded on ``side``."""
        return self.of(self.rows, self.target, side)


class Prompts:
    """Batches for one model; the same seed gives the same tokens on every device."""

    def __init__(self, target: Target, workload: Any) -> None:
        self._target = target
        self._workload = workload
        self._feed = target.architecture.model_inputs
        self.masked = target.has_weights and bool(self._feed.mask_name)
        """The model takes an attention mask, and there are values to mask, so rows can be padded."""

    def batch(self, rows: int | None = None, tokens: int | None = None, *, seed: int = 0) -> dict[str, Tensor]:
        """Rows of equal length and different tokens, without padding."""
        shape = rows or self._workload.rows, tokens or self._workload.tokens
        return self._inputs(self.seeded_ids(shape, seed), torch.ones(shape, dtype=torch.long))

    def padded(self, side: str, *, seed: int = 0, numbered: bool = True) -> dict[str, Tensor]:
        """Rows of unequal length, padded on the ``left`` or the ``right``.

        ``numbered`` batches carry ``position_ids`` when padding stands before the tokens and the model takes them:
        a forward pass does not count them from the mask as ``generate`` does.
        """
        shape = self._workload.rows, self._workload.tokens
        ids, mask = self.seeded_ids(shape, seed), torch.ones(shape, dtype=torch.long)
        for row in range(1, shape[0]):
            pads = min(row, shape[1] - 2)
            gap = slice(0, pads) if side == "left" else slice(shape[1] - pads, None)
            mask[row, gap] = 0
            ids[row, gap] = self._target.pad_token_id
        inputs = self._inputs(ids, mask)
        if numbered and side == "left" and self._feed.numbered:
            inputs["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0).to(self._target.device)
        return inputs

    def repetitive(self) -> dict[str, Tensor]:
        """One row that says the same three tokens again and again, so that prompt lookup finds candidates."""
        once = self.seeded_ids((1, 3), seed=3)
        ids = once.repeat(1, 3)
        return self._inputs(ids, torch.ones_like(ids))

    def real(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The real tokens of a batch: boolean, ``(rows, columns)``."""
        mask = self.mask(inputs)
        return torch.ones_like(self.ids(inputs), dtype=torch.bool) if mask is None else mask.bool()

    def mask(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """The attention mask of a batch, ``(rows, columns)``, if it has one."""
        return self._feed.mask(inputs)

    def row(self, inputs: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
        """One row of a batch on its own, its padding removed."""
        kept = {name: tensor[index : index + 1] for name, tensor in inputs.items()}
        mask = self.mask(inputs)
        if mask is not None:
            real = mask[index].bool()
            kept |= {name: tensor[:, real] for name, tensor in kept.items() if name not in self._feed.beside}
        return kept

    def ids(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The token ids of a batch, ``(rows, columns)``."""
        return inputs[self._feed.ids_name]

    def extended(self, inputs: Mapping[str, Tensor], sequences: Tensor) -> dict[str, Tensor]:
        """The prompts of ``inputs`` with what was generated after them, as one batch."""
        more = sequences.shape[1] - self.ids(inputs).shape[1]
        mask = self.mask(inputs)
        if mask is not None:
            mask = torch.nn.functional.pad(mask, (0, more), value=1)
        return self._feed.inputs(sequences, mask)

    def steered_tokens(self, inputs: Mapping[str, Tensor], positions: Positions, *, total: int | None = None) -> Tensor:
        """Which ``(row, absolute column)`` the positions mean: by definition, from the prompt's real tokens alone.

        ``total`` columns when tokens are generated after the prompt; without it the whole input is the prompt.
        """
        real = self.real(inputs)
        prompt = real.shape[1]
        new = (total or prompt) - prompt
        end = torch.zeros_like(real)
        for row in range(real.shape[0]):
            end[row, int(real[row].nonzero().max())] = True
        generated = torch.ones(real.shape[0], new, dtype=torch.bool, device=real.device)
        none = torch.zeros_like(generated)
        parts = {
            Positions.ALL: (real, generated),
            Positions.PROMPT: (real, none),
            Positions.GENERATED: (torch.zeros_like(real), generated),
            Positions.LAST: (end, generated),
        }
        return torch.cat(parts[positions], dim=1)

    def seeded_ids(self, shape: tuple[int, int], seed: int) -> Tensor:
        """Seeded token ids ``(rows, columns)`` on the CPU; a text begins as the model wants it to."""
        generator = torch.Generator().manual_seed(seed)
        low = 8 if self._target.vocab_size > 64 else 0
        ids = torch.randint(low, self._target.vocab_size, shape, generator=generator)
        if self._feed.begins is not None:
            ids[:, 0] = self._feed.begins
        return ids

    def _inputs(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        device = self._target.device
        return self._feed.inputs(ids.to(device), mask.to(device) if self.masked else None)
