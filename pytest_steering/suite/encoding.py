"""Prompts as token ids: with the tokenizer's own beginning, padded on either side, refused where they are too long.

A prompt that does not fit is refused, never cut: what is cut away may be the line that the question is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pytest_steering.architecture.inputs import tokens_go_to
from pytest_steering.errors import SteeringError
from pytest_steering.vectors.training import progress_bar

_UNLIMITED = 10**9


class PromptError(SteeringError):
    """A prompt that cannot be asked: one sentence with the reason and the remedy."""


@dataclass(frozen=True)
class Question:
    """A prompt's token ids, and those of each answer that may follow it."""

    prompt: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...] = ()

    @property
    def columns(self) -> int:
        """How many tokens the prompt and its longest answer have."""
        return len(self.prompt) + max((len(answer) for answer in self.answers), default=0)


def prompt_ids(tokenizer: Any, prompt: str) -> tuple[int, ...]:
    """The prompt's tokens after those that the tokenizer begins every text with, and none that it ends texts with.

    A prompt that begins with them itself, as chat templates write them, gets no second ones. ``PromptError`` when
    there is no tokenizer or the prompt has no tokens.
    """
    if tokenizer is None:
        raise PromptError("the model has no tokenizer, so it cannot be asked anything; put tokenizer.json beside it")
    begins = getattr(tokenizer, "bos_token", None)
    before = () if begins and prompt.startswith(begins) else _beginning(tokenizer)
    ids = (*before, *_plain(tokenizer, prompt))
    if not ids:
        raise PromptError("an empty prompt has no answer position; pass a prompt with text in it")
    return ids


def question(tokenizer: Any, prompt: str, answers: Sequence[str]) -> Question:
    """The prompt's tokens up to the answer position, and what follows it for each answer.

    Prompt and answer are tokenized together, as a model reads them, and parted after their last common token: so
    it is the tokenizer that decides whether a leading space belongs to the answer's first token. After a prompt that
    ends in white space the answer has no space of its own. ``PromptError`` when two answers have the same tokens.
    """
    alone = prompt_ids(tokenizer, prompt)
    spaced = prompt[-1:].isspace()
    whole = [prompt_ids(tokenizer, prompt + (answer.lstrip() if spaced else answer)) for answer in answers]
    shared = next(
        (column for column, tokens in enumerate(zip(alone, *whole, strict=False)) if len(set(tokens)) > 1),
        min(len(alone), *(len(ids) for ids in whole)),
    )
    tails = tuple(ids[shared:] for ids in whole)
    if len(set(tails)) < len(tails) or not all(tails) or not shared:
        raise PromptError(
            f"the tokenizer does not tell the answers {', '.join(map(repr, answers))} apart after "
            f"{prompt[-19:]!r}; choose answers that it has tokens for"
        )
    return Question(alone[:shared], tails)


def padded(
    rows: Sequence[Sequence[int]], *, filler: int, side: Literal["left", "right"], device: torch.device | None = None
) -> dict[str, Tensor]:
    """``input_ids`` and ``attention_mask`` of shape ``(rows, longest)``, filled up on ``side``."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), filler)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        real = slice(0, len(row)) if side == "right" else slice(longest - len(row), longest)
        ids[index, real] = torch.tensor(row)
        mask[index, real] = 1
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}


def prompt_batch(
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    side: Literal["left", "right"] = "right",
    device: torch.device | None = None,
) -> dict[str, Tensor]:
    """What a model is called with to read these prompts, as a forced choice reads them."""
    return padded(
        [prompt_ids(tokenizer, prompt) for prompt in prompts], filler=filler_of(tokenizer), side=side, device=device
    )


def filler_of(tokenizer: Any) -> int:
    """The id to fill short rows with: padding, else the end of a text, else 0; it is masked, whatever it is."""
    for name in ("pad_token_id", "eos_token_id"):
        if isinstance(value := getattr(tokenizer, name, None), int):
            return value
    return 0


def check_lengths(columns: Sequence[int], limit: int | None) -> None:
    """Every row fits, or ``PromptError`` names the longest."""
    if limit is None or max(columns, default=0) <= limit:
        return
    longest = max(range(len(columns)), key=lambda index: columns[index])
    over = sum(length > limit for length in columns)
    raise PromptError(
        f"prompt {longest} takes {columns[longest]} tokens with its answer, and the model's context has {limit} "
        f"({over} of {len(columns)} prompts are too long); leave them out, because a cut prompt asks something else"
    )


def context_limit(model: Any, tokenizer: Any) -> int | None:
    """How many tokens the model takes at once, by its config and its tokenizer; ``None`` when neither says."""
    config = getattr(model, "config", None)
    text = config.get_text_config() if config is not None and hasattr(config, "get_text_config") else config
    stated = [getattr(text, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len")]
    stated.append(getattr(tokenizer, "model_max_length", None))
    known = [value for value in stated if isinstance(value, int) and 0 < value < _UNLIMITED]
    return min(known, default=None)


def device_of(model: Any) -> torch.device | None:
    """Where token ids go, of a model that can be looked into."""
    return tokens_go_to(model) if isinstance(model, nn.Module) else None


def in_batches(columns: Sequence[int], size: int, *, progress: bool, what: str) -> Iterator[list[int]]:
    """Row numbers in batches, the longest rows first so that little is padded, with a progress bar if asked for."""
    if size < 1:
        raise PromptError(f"the batch size is {size}; it must be at least 1")
    order = sorted(range(len(columns)), key=lambda index: -columns[index])
    with progress_bar(len(order), what, shown=progress, unit="prompt") as done:
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            yield rows
            done(len(rows))


def _plain(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _beginning(tokenizer: Any) -> tuple[int, ...]:
    """The special tokens that stand before every text."""
    text = "a"
    plain, whole = _plain(tokenizer, text), tuple(tokenizer(text, verbose=False)["input_ids"])
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start]
    return ()
