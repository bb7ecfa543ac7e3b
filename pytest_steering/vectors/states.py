"""The state of each row at chosen tokens: the residual stream as an adapter would meet it, whatever the padding.

Before a batch runs, its rows are moved to the left, so that all padding stands behind the tokens. Nothing that a
causal model computes of a token looks there, and no model needs to be told the positions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pytest_steering.architecture.compiled import eager
from pytest_steering.architecture.inputs import ModelInputs
from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.observation import observe
from pytest_steering.vectors._common import VectorError

Place = int | Literal["mean"] | Tensor
"""Where a row's state is read: at the token of that index among its real tokens (``0`` the first, ``-1`` the last), as
the mean over all its real tokens, or as the mean over the tokens that a boolean mask ``(rows, columns)`` marks."""


def read_states(
    call: Callable[..., Any],
    architecture: Architecture,
    inputs: Mapping[str, Tensor],
    layers: Sequence[int],
    *,
    place: Place = -1,
    batch_size: int | None = None,
    done: Callable[[int], object] = lambda _rows: None,
) -> dict[int, Tensor]:
    """Each row's state after each of ``layers``: ``(rows, hidden_size)``, float64 on the CPU.

    Several residual streams are averaged. ``inputs`` may be padded on either side when they carry the attention mask;
    ``batch_size`` rows run at a time (all by default), those of like length together, and ``done`` is told how many.
    A row without the token that ``place`` names, and a state that is not finite, raise ``VectorError``.
    """
    ids = inputs[architecture.model_inputs.ids_name]
    real = _real(architecture, inputs, ids)
    chosen = chosen_tokens(real, place)
    lengths = real.sum(1)
    order = torch.argsort(lengths, descending=True, stable=True)
    states: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    for rows in torch.split(order, batch_size or len(ids)):
        columns = _tokens_first(real[rows], int(lengths[rows].max()))
        batch = {name: _picked(architecture, name, tensor, ids, rows, columns) for name, tensor in inputs.items()}
        at = chosen[rows].gather(1, columns)
        # Compiled code would not be seen; what a block yields looks to that itself.
        with eager(call) if isinstance(call, nn.Module) else nullcontext(), torch.no_grad():
            trace = observe(architecture, layers, partial(call, **batch))
        for layer in layers:
            states[layer].append(_mean(trace.received(layer), at))
        done(len(rows))
    back = torch.argsort(order).cpu()
    read = {layer: torch.cat(parts)[back] for layer, parts in states.items()}
    for layer, state in read.items():
        if not bool(torch.isfinite(state).all()):
            narrow = architecture.decoder_layers[layer].dtype.itemsize < 4
            remedy = "run the model in a wider dtype (float32)" if narrow else "the model itself computes them"
            raise VectorError(f"the states after layer {layer} hold a NaN or an infinity; {remedy}")
    return read


def _real(architecture: Architecture, inputs: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    mask = architecture.model_inputs.mask(inputs)
    real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.to(ids.device).bool()
    empty = (~real.any(1)).nonzero()
    if len(empty):
        raise VectorError(f"row {int(empty[0])} is all padding; leave it out")
    return real


def chosen_tokens(real: Tensor, place: Place) -> Tensor:
    """The tokens that ``place`` names among the real ones: boolean, ``(rows, columns)``, at least one in each row."""
    if isinstance(place, Tensor):
        if place.shape != real.shape:
            raise VectorError(
                f"the mask of the tokens to read has shape {tuple(place.shape)}, the token ids {tuple(real.shape)}; "
                "give one mask value for each token"
            )
        chosen = place.to(real.device).bool() & real
        missing = "has no real token that the mask marks"
    elif place == "mean":
        return real
    elif isinstance(place, int) and not isinstance(place, bool):
        count = real.cumsum(1) - 1
        wanted = place if place >= 0 else real.sum(1, keepdim=True) + place
        chosen = (count == wanted) & real
        missing = f"has no token {place}"
    else:
        raise VectorError(f"there is no token position {place!r}; give a whole number, 'mean', or masks")
    without = (~chosen.any(1)).nonzero()
    if len(without):
        row = int(without[0])
        raise VectorError(f"row {row}, of {int(real[row].sum())} tokens, {missing}; choose another position")
    return chosen


def _tokens_first(real: Tensor, width: int) -> Tensor:
    """For each row the columns of its real tokens in their order, then as much padding as ``width`` needs."""
    return torch.argsort((~real).byte(), dim=1, stable=True)[:, :width]


def _picked(
    architecture: Architecture, name: str, tensor: Tensor, ids: Tensor, rows: Tensor, columns: Tensor
) -> Tensor:
    rows = rows.to(tensor.device)
    if name in architecture.model_inputs.beside or tensor.shape[:2] != ids.shape:
        return tensor[rows] if tensor.shape[:1] == ids.shape[:1] else tensor
    return tensor[rows[:, None], columns.to(tensor.device)]


def _mean(received: Tensor, at: Tensor) -> Tensor:
    """The mean of the states at the chosen tokens, ``(rows, hidden_size)``; the model's own positions stand before."""
    received = received[:, received.shape[1] - at.shape[1] :]
    at = at.to(received.device)
    picked = received[at].cpu().double()
    if picked.ndim > 2:
        picked = picked.flatten(1, -2).mean(1)
    row = at.nonzero()[:, 0].cpu()
    sums = torch.zeros(len(at), picked.shape[1], dtype=torch.float64).index_add(0, row, picked)
    return sums / at.sum(1, keepdim=True).cpu()


Text = str | tuple[str, str]
"""A text, or a prompt and the answer that follows it."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """Texts of unequal lengths as one batch, padded on the right."""

    inputs: dict[str, Tensor]
    """Token ids and attention mask ``(rows, columns)``, by the names that the model takes them by."""
    real: Tensor
    """The tokens that are no padding: boolean, ``(rows, columns)``; not every model takes a mask."""
    answers: Tensor
    """The tokens of the answers: boolean, ``(rows, columns)``."""


def hash_pairs(pairs: Sequence[tuple[Text, Text]]) -> str:
    """The sha256 of the training texts in their order: what tells whether two vectors were trained on the same."""
    return hashlib.sha256(json.dumps(list(pairs), ensure_ascii=False).encode()).hexdigest()


def tokenised(
    model_inputs: ModelInputs,
    tokenizer: Any,
    texts: Sequence[Text],
    *,
    answers: bool = False,
    device: torch.device | str = "cpu",
) -> Tokens:
    """The texts as the model is fed them, special tokens and all; ``VectorError`` for one without tokens.

    With ``answers``, a token belongs to the answer when any of its characters does.
    """
    rows, marks = [], []
    for number, text in enumerate(texts):
        prompt, answer = ("", text) if isinstance(text, str) else text
        if answers and (isinstance(text, str) or not answer):
            raise VectorError(f"text {number} has no answer to read; give it as (prompt, answer)")
        ids, marked = _tokens(tokenizer, prompt, prompt + answer, answers=answers)
        if model_inputs.begins is not None and ids[:1] != [model_inputs.begins]:
            ids, marked = [model_inputs.begins, *ids], [False, *marked]
        if not ids:
            raise VectorError(f"text {number} has no tokens; leave it out")
        rows.append(ids)
        marks.append(marked)
    width = max(map(len, rows))
    filler = getattr(tokenizer, "pad_token_id", None) or 0
    filled = torch.tensor([row + [filler] * (width - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    chosen = torch.tensor([mark + [False] * (width - len(mark)) for mark in marks], device=device)
    return Tokens(model_inputs.inputs(filled, mask), mask.bool(), chosen)


def _tokens(tokenizer: Any, prompt: str, text: str, *, answers: bool) -> tuple[list[int], list[bool]]:
    if not answers:
        ids = list(tokenizer(text)["input_ids"])
        return ids, [False] * len(ids)
    if not getattr(tokenizer, "is_fast", False):
        raise VectorError(
            f"{type(tokenizer).__name__} does not tell which characters a token stands for; "
            "use the fast tokenizer of the model, or another position"
        )
    encoded = tokenizer(text, return_offsets_mapping=True)
    ids = list(encoded["input_ids"])
    # A special token stands for no characters: its offsets are equal.
    return ids, [end > max(start, len(prompt)) for start, end in encoded["offset_mapping"]]
