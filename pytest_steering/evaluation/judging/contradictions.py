"""Answers that say a thing and its opposite about the same matter, with nothing to tell which of the two is meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from pytest_steering.evaluation.judging.breaking_off import breaks_off

_POSSIBLE = re.compile(r"\bcan (?:\w+ly )?(?!not\b|be\b)(\w{5,})|\bcan (?:\w+ly )?be (\w{5,})")
_IMPOSSIBLE = re.compile(r"\bcan not (?:\w+ly )?(?!be\b)(\w{5,})|\bcan not (?:\w+ly )?be (\w{5,})")
_IS = re.compile(r"\bis (?!not\b)(affected|vulnerable|susceptible|exploitable|possible|present)\b")
_IS_NOT = re.compile(r"\bis not (affected|vulnerable|susceptible|exploitable|possible|present)\b")
_RESOLVED = re.compile(
    r"\b(?:but|however|though|although|except|unless|if|would|until|other|first|second|wait|actually|old|new|original"
    r"|while"
    r"|whereas|yet|now|then|elsewhere|line|here|there|instead|neither|once|only|may|might|seems?|looks?|claims?|says?"
    r"|comment|correction|edit|sorry|mistake|earlier|previous|fixed|patched|modified|corrected|rewritten|updated"
    r"|safer)\b"
)
_SETTLES_NOTHING = re.compile(
    r"\bboth (?:secure|safe|not vulnerable) and (?:vulnerable|insecure|unsafe)\b|\bboth (?:vulnerable|insecure|unsafe)"
    r" and (?:secure|safe|not vulnerable)\b|\b(?:go|going) back and forth\b|\bboth (?:answers|verdicts|conclusions"
    r"|readings) (?:are|can be|seem)\b|\bneither (?:answer|verdict|conclusion|of the two) (?:is|can)\b"
    r"|\b(?:i|we) (?:can|could|am|are|will|do) not (?:\w+ )?(?:able to )?(?:settle|decide|make up my mind|choose)\b"
    r"|\b(?:can|could|may|might) be either\b|\banswer(?: is|:) (?:no|yes)\b[^.]{1,60}\band (?:yes|no)\b"
    r"|\b(?:am|remain) (?:torn|undecided|of two minds)\b|\bleave (?:the|this|that) question open\b|\bno preference"
    r" either way\b|\b(?:coin flip|toss-?up|fifty[- ]fifty|50/50)\b|\bpick (?:one|whichever)\b"
    r"|\b(?:answer|verdict|conclusion|result|analysis|finding) (?:is|remains) (?:inconclusive|undetermined|unclear"
    r"|open|uncertain)\b"
)
"""Words of one who can not decide."""
CHANGES = 3
"""Of side, from which on nobody can tell how it would have gone on."""
ENDING = 160
"""Characters at the end, after which nothing more is settled."""


def contradicts_itself(text: str) -> bool:
    """The same is possible and impossible, or is and is not so, and no word weighs the one against the other.

    So is an answer that says itself, at its end, that it settles nothing.
    """
    if any(len(text) - found.end() < ENDING for found in _SETTLES_NOTHING.finditer(text)):
        return True
    if len(text) > 1_000 or _RESOLVED.search(text):
        return False
    return bool(_stems(_POSSIBLE, text) & _stems(_IMPOSSIBLE, text) or _stems(_IS, text) & _stems(_IS_NOT, text))


def wavers(text: str, sides: Sequence[bool | None]) -> bool:
    """Its ``sides``, statement by statement, change again and again, and it breaks off before the last word."""
    return breaks_off(text) and sum(one != other for one, other in pairwise(sides)) >= CHANGES


def _stems(pattern: re.Pattern[str], text: str) -> set[str]:
    return {next(group for group in match.groups() if group)[:5] for match in pattern.finditer(text)}
