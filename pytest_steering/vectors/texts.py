"""Texts as batches of token ids, with the tokens of the answers marked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pytest_steering.feed import Feed
from pytest_steering.vectors.errors import VectorError

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
    feed: Feed, tokenizer: Any, texts: Sequence[Text], *, answers: bool = False, device: torch.device | str = "cpu"
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
        if feed.begins is not None and ids[:1] != [feed.begins]:
            ids, marked = [feed.begins, *ids], [False, *marked]
        if not ids:
            raise VectorError(f"text {number} has no tokens; leave it out")
        rows.append(ids)
        marks.append(marked)
    width = max(map(len, rows))
    filler = getattr(tokenizer, "pad_token_id", None) or 0
    filled = torch.tensor([row + [filler] * (width - len(row)) for row in rows], device=device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=device)
    chosen = torch.tensor([mark + [False] * (width - len(mark)) for mark in marks], device=device)
    return Tokens(feed.inputs(filled, mask), mask.bool(), chosen)


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
