"""What a trained model may be able to tell apart: pairs of texts, and words of which one or the other comes next.

Plain contrasts ask for the next word after a short text, in several wordings: pairs of words that no two of them share.
A model that was never trained prefers one word of each pair by chance, so every wording is one more toss of a coin. The
pairs are no independent tosses: what differs between their two sides is the same in every one of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from pytest_steering.oracle.harness import Harness
from pytest_steering.suite.encoding import PromptError, question
from pytest_steering.suite.forced_choice import forced_choice, word_choice
from pytest_steering.suite.paired_prompts import PairedPrompt, paired_prompts
from pytest_steering.vectors import train_from_texts

CHANCE = 0.002
"""How often a model that cannot tell passes for one that can, at most: by its pairs, and by its wordings."""

_BUILD, _PLAIN_BUILD = 5, 8
_FEW, _PLAIN_FEW = 2, 4
_FUTILE = 0.1
_ENOUGH = 16
"""Pairs after which a contrast is given up that looks like chance."""
_BATCH = 8

Pair = tuple[str, str]


class Contrast(Protocol):
    """One behaviour: ``build`` trains a direction, ``few`` of the ``held_out`` measure what it does."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def build(self) -> Sequence[Pair]: ...  # noqa: D102
    @property
    def held_out(self) -> Sequence[Pair]: ...  # noqa: D102
    @property
    def few(self) -> Sequence[Pair]: ...  # noqa: D102

    def answers(self, harness: Harness, call: Any, pairs: Sequence[Pair]) -> Tensor:
        """``logp`` of the first word minus that of the second, ``(pairs, 2, wordings)`` in nats."""
        ...


@dataclass(frozen=True)
class Words:
    """A plain contrast: after the first text of a pair the first word of each wording is likelier."""

    name: str
    template: str
    wordings: tuple[Pair, ...]
    pairs: tuple[Pair, ...]

    @property
    def build(self) -> tuple[Pair, ...]:
        """The prompts that train."""
        return self._asked[:_PLAIN_BUILD]

    @property
    def held_out(self) -> tuple[Pair, ...]:
        """All other prompts."""
        return self._asked[_PLAIN_BUILD:]

    @property
    def few(self) -> tuple[Pair, ...]:
        """The first of them."""
        return self.held_out[:_PLAIN_FEW]

    def answers(self, harness: Harness, call: Any, pairs: Sequence[Pair]) -> Tensor:
        """See :class:`Contrast`; ``PromptError`` where the tokenizer has too few of the words."""
        target = harness.target
        usable = _usable(self, target.tokenizer)
        found = word_choice(
            call,
            target.tokenizer,
            [prompt for pair in pairs for prompt in pair],
            usable,
            batch_size=_BATCH,
            device=target.device,
            model=target.model,
        )
        return found.reshape(len(pairs), 2, len(usable))

    @property
    def _asked(self) -> tuple[Pair, ...]:
        return tuple((self.template.format(one), self.template.format(other)) for one, other in self.pairs)


@lru_cache(maxsize=8)
def _usable(contrast: Words, tokenizer: Any) -> tuple[Pair, ...]:
    """The wordings whose words are one token each after every prompt; ``PromptError`` where they are too few."""
    prompts = tuple(prompt for pair in (*contrast.build, *contrast.held_out) for prompt in pair)
    usable = tuple(wording for wording in contrast.wordings if _single(tokenizer, prompts, wording))
    if at_least(len(usable), len(usable)) > CHANCE:
        raise PromptError(f"the tokenizer has one token for the words of {len(usable)} wordings only")
    return usable


class Weaknesses:
    """Code that has a weakness, and the same code patched: the answer yes, and the answer no."""

    name = "vulnerable and patched code"

    def __init__(self, tokenizer: Any) -> None:
        """The project's own pairs (``fixtures/mini_cwe``), as this tokenizer's chat has them."""
        of_each: dict[str, list[PairedPrompt]] = {}
        for pair in paired_prompts(tokenizer):
            of_each.setdefault(pair.cwe, []).append(pair)
        self.build = [pair.sides for pairs in of_each.values() for pair in pairs[:_BUILD]]
        self.held_out = [pair.sides for pairs in of_each.values() for pair in pairs[_BUILD:]]
        self.few = [pair.sides for pairs in of_each.values() for pair in pairs[_BUILD : _BUILD + _FEW]]
        self.cwes = [pair.cwe for pairs in of_each.values() for pair in pairs[_BUILD:]]
        """Of each held-out pair."""

    def answers(self, harness: Harness, call: Any, pairs: Sequence[Pair]) -> Tensor:
        """See :class:`Contrast`."""
        target = harness.target
        prompts = [prompt for pair in pairs for prompt in pair]
        found = forced_choice(
            call, target.tokenizer, prompts, batch_size=_BATCH, device=target.device, model=target.model
        )
        return found.reshape(len(pairs), 2, 1)


@cache
def plain() -> tuple[Words, ...]:
    """The plain contrasts, the shortest first: ``contrasts.json``."""
    stored = json.loads(Path(__file__).with_name("contrasts.json").read_text(encoding="utf-8"))
    return tuple(
        Words(each["name"], each["template"], _pairs(each["wordings"]), _pairs(each["pairs"])) for each in stored
    )


def told(harness: Harness, contrast: Contrast) -> tuple[str, dict[Pair, Tensor]]:
    """Why the unsteered model does not tell the pairs apart, or nothing, and its answers about each held-out pair.

    Both tests must pass: one over the pairs, and, where there are several, one over the wordings. A model that looks
    like chance after some of the pairs is not asked about the others.
    """
    first = contrast.few if len(contrast.few) >= _ENOUGH else contrast.held_out
    answers = contrast.answers(harness, harness.model, first)
    right, wordings = _right(answers)
    if len(first) < len(contrast.held_out) and at_least(right, len(first)) <= _FUTILE:
        known = dict(zip(first, answers, strict=True))
        rest = [pair for pair in contrast.held_out if pair not in known]
        known |= zip(rest, contrast.answers(harness, harness.model, rest), strict=True)
        first = contrast.held_out
        answers = torch.stack([known[pair] for pair in first])
        right, wordings = _right(answers)
    asked = answers.shape[2]
    found = f"{right} of {len(first)} pairs" + (f" and {wordings} of {asked} wordings" if asked > 1 else "")
    if not bool(torch.isfinite(answers).all()):
        return f"{found}, with answers that are not finite", {}
    if at_least(right, len(first)) > CHANCE or (asked > 1 and at_least(wordings, asked) > CHANCE):
        return found, {}
    return "", dict(zip(first, answers, strict=True))


def train(harness: Harness, contrast: Contrast, layers: Sequence[int]) -> dict[int, Tensor]:
    """The difference in means at the end of the prompts that train: it points to the first side of the pairs."""
    target = harness.target
    return train_from_texts(harness.model, harness.architecture, target.tokenizer, list(contrast.build), layers=layers)


def at_least(right: int, of: int) -> float:
    """The chance that as many or more of so many coins fall right."""
    return sum(math.comb(of, k) for k in range(right, of + 1)) / 2.0**of


def _right(answers: Tensor) -> tuple[int, int]:
    """How many pairs, and how many wordings, are told apart on average."""
    differences = answers[:, 0] - answers[:, 1]
    return int((differences.mean(1) > 0).sum()), int((differences.mean(0) > 0).sum())


def _single(tokenizer: Any, prompts: Sequence[str], wording: Pair) -> bool:
    try:
        alone = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in wording]
        if max(map(len, alone)) > _TOKENS:
            return False
        return all(len(answer) == 1 for prompt in prompts for answer in question(tokenizer, prompt, wording).answers)
    except PromptError:
        return False


_TOKENS = 2
"""The most that one word alone may have, whose space may be a token by itself, to be looked at after every prompt."""


def _pairs(stored: Sequence[Sequence[str]]) -> tuple[Pair, ...]:
    return tuple((one, other) for one, other in stored)
