"""What is fed: how many rows and tokens, where padding stands, and how the mask says so."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.space import dimension

ROWS = dimension("rows")
TOKENS = dimension("tokens")
PADDING = dimension("padding")
MASK = dimension("mask")
IDS = dimension("ids")

LARGEST = 64 * 2**20
"""Bytes of the logits of a batch that is asked of a model."""
WIDEST = 256
"""A batch as long as the residual stream is wide is asked of streams no wider than this."""


class Unfit(Exception):
    """A use that has no meaning for this model, with the reason."""


@dataclass(frozen=True)
class Prompt:
    """A batch of prompts, by the names of its values."""

    rows: str = "two"
    tokens: str = "six"
    padding: str = "none"
    mask: str = "integer"
    ids: str = "ordinary"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Fed:
    """A batch of prompts as tensors on the model's device."""

    ids: Tensor
    """``(rows, columns)``"""
    real: Tensor
    """``(rows, columns)``, boolean: the tokens that are no padding."""
    mask: Tensor | None
    """What the model is given as its attention mask."""
    style: str = "integer"
    """The value of the mask's dimension."""

    @property
    def columns(self) -> int:
        """How many tokens each row has, padding included."""
        return int(self.ids.shape[1])

    def cut(self, start: int, end: int) -> Fed:
        """The tokens of some columns, with the mask of all columns up to the last of them."""
        real = self.real[:, :end]
        return Fed(self.ids[:, start:end], real, masked(real, self.ids, self.style), self.style)

    def row(self, number: int) -> Fed:
        """One row alone."""
        mask = None if self.mask is None else self.mask[number : number + 1]
        return replace(self, ids=self.ids[number : number + 1], real=self.real[number : number + 1], mask=mask)

    def reordered(self, order: Tensor) -> Fed:
        """The rows in another order."""
        return replace(
            self, ids=self.ids[order], real=self.real[order], mask=None if self.mask is None else self.mask[order]
        )


def fed(harness: Harness, prompt: Prompt) -> Fed:
    """The tensors of a prompt; ``Unfit`` where the model has none such."""
    rows, columns = ROWS.make(prompt.rows)(harness), TOKENS.make(prompt.tokens)(harness)
    size = 4 * rows * columns * harness.target.vocab_size
    if size > LARGEST:
        raise Unfit(f"the logits of {rows} rows of {columns} tokens would take {size / 1e9:.1f} GB")
    real = PADDING.make(prompt.padding)(torch.ones(rows, columns, dtype=torch.bool))
    ids = harness.prompts.seeded_ids((rows, columns), 100 + prompt.seed)
    if prompt.mask != "left-out":
        # Without a mask generate takes the padding token for padding, wherever it stands.
        ids = IDS.make(prompt.ids)(harness, ids)
    ids = torch.where(real, ids, harness.target.pad_token_id).to(harness.target.device)
    real = real.to(harness.target.device)
    takes_mask = bool(harness.architecture.model_inputs.mask_name)
    return Fed(ids, real, masked(real, ids, prompt.mask) if takes_mask else None, prompt.mask)


def masked(real: Tensor, ids: Tensor, style: str) -> Tensor | None:
    """The attention mask that says which tokens are real, in one of the forms that models take."""
    mask: Tensor | None = MASK.make(style)(real)
    return mask


# How many


@ROWS.value("two rows")
def _two(_harness: Harness) -> int:
    return 2


@ROWS.value("one row")
def _one(_harness: Harness) -> int:
    return 1


@ROWS.value("three rows", needs=("BATCH",))
def _three(_harness: Harness) -> int:
    return 3


@ROWS.value("nine rows", needs=("BATCH",), alone=True)
def _nine(_harness: Harness) -> int:
    return 9


@ROWS.value("as many rows as the residual stream is wide", needs=("BATCH",), name="width", alone=True)
def _width_rows(harness: Harness) -> int:
    return _width(harness)


@TOKENS.value("six tokens")
def _six(_harness: Harness) -> int:
    return 6


@TOKENS.value("one token", name="one")
def _one_token(_harness: Harness) -> int:
    return 1


@TOKENS.value("two tokens", name="two")
def _two_tokens(_harness: Harness) -> int:
    return 2


@TOKENS.value("as many tokens as rows", name="square")
def _square(_harness: Harness) -> int:
    return 3


@TOKENS.value("sixty-six tokens", alone=True)
def _sixty_six(harness: Harness) -> int:
    return 66


@TOKENS.value("as many tokens as the residual stream is wide", name="width", alone=True)
def _width_tokens(harness: Harness) -> int:
    return _width(harness)


@TOKENS.value("257 tokens", name="257", alone=True)
def _many_tokens(_harness: Harness) -> int:
    return 257


@TOKENS.value("1025 tokens", name="1025", alone=True)
def _most_tokens(_harness: Harness) -> int:
    return 1025


def _width(harness: Harness) -> int:
    width = harness.architecture.hidden_size
    if width > WIDEST:
        raise Unfit(f"the residual stream is {width} wide: a batch of as many is not asked of it")
    return width


# Padding: which tokens are real


@PADDING.value("no padding", name="none")
def _none(real: Tensor) -> Tensor:
    return real


_PADDED = ("BATCH", "PADDING")


@PADDING.value("left padding", needs=_PADDED)
def _left(real: Tensor) -> Tensor:
    for row in range(1, len(real)):
        real[row, : _pads(real, row)] = False
    return real


@PADDING.value("right padding", needs=_PADDED)
def _right(real: Tensor) -> Tensor:
    for row in range(1, len(real)):
        real[row, real.shape[1] - _pads(real, row) :] = False
    return real


@PADDING.value("left and right padding in one batch", needs=_PADDED)
def _both(real: Tensor) -> Tensor:
    for row in range(len(real) if real.shape[1] > 2 else 0):
        real[row, slice(-1, None) if row % 2 else slice(0, 2)] = False
    return real


@PADDING.value("padding between the tokens", needs=_PADDED)
def _middle(real: Tensor) -> Tensor:
    if real.shape[1] > 2:
        real[1:, real.shape[1] // 2] = False
    return real


@PADDING.value("a row of padding alone", needs=_PADDED)
def _filler(real: Tensor) -> Tensor:
    if len(real) > 1:
        real[-1] = False
    return real


def _pads(real: Tensor, row: int) -> int:
    """Each row has another number of pads and at least one token."""
    return min(1 + row % 3, int(real.shape[1]) - 1)


# The form of the mask


@MASK.value("an integer mask")
def _integer(real: Tensor) -> Tensor:
    return real.to(torch.long)


@MASK.value("no mask", name="left-out")
def _left_out(real: Tensor) -> Tensor | None:
    return None if bool(real.all()) else real.to(torch.long)


@MASK.value("a boolean mask")
def _boolean(real: Tensor) -> Tensor:
    return real.clone()


@MASK.value("a mask of floating-point numbers", name="float")
def _float(real: Tensor) -> Tensor:
    return real.to(torch.float32)


@MASK.value("a mask that numbers the texts of a row")
def _numbered(real: Tensor) -> Tensor:
    return real.to(torch.long) * (1 + torch.arange(real.shape[1], device=real.device) // 3)


@MASK.value("an additive mask of four axes", forward=True)
def _additive(real: Tensor) -> Tensor:
    return real.to(torch.long)


def additive(real: Tensor) -> Tensor:
    """The causal mask ``(rows, 1, columns, columns)`` that is added to the scores of attention."""
    rows, columns = real.shape
    causal = torch.ones(columns, columns, dtype=torch.bool, device=real.device).tril()
    return torch.where(causal, 0.0, torch.finfo(torch.float32).min).expand(rows, 1, columns, columns)


# Which tokens


@IDS.value("ordinary tokens")
def _ordinary(_harness: Harness, ids: Tensor) -> Tensor:
    return ids


@IDS.value("the padding token as a real token", name="padding")
def _padding_token(harness: Harness, ids: Tensor) -> Tensor:
    ids[:, ids.shape[1] // 3] = harness.target.pad_token_id
    return ids


@IDS.value("the end token in the prompt", name="end")
def _end_token(harness: Harness, ids: Tensor) -> Tensor:
    ids[:, ids.shape[1] // 3] = end_token(harness)
    return ids


@IDS.value("the token that begins a text", name="beginning", alone=True)
def _beginning_token(harness: Harness, ids: Tensor) -> Tensor:
    ids[:, 0] = _special(harness, "bos_token_id", 1)
    return ids


def end_token(harness: Harness) -> int:
    """The model's end-of-sequence token, or a token to stand for one."""
    return _special(harness, "eos_token_id", 2)


def _special(harness: Harness, name: str, otherwise: int) -> int:
    for config in (getattr(harness.model, each, None) for each in ("generation_config", "config")):
        found = getattr(config, name, None)
        if isinstance(found, int) and 0 <= found < harness.target.vocab_size:
            return found
    return min(otherwise, harness.target.vocab_size - 1)
