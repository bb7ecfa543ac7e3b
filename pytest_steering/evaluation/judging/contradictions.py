"""Answers that say a thing and its opposite about the same matter, with nothing to tell which of the two is meant."""

from __future__ import annotations

import re

_POSSIBLE = re.compile(r"\bcan (?:\w+ly )?(?!not\b|be\b)(\w{5,})|\bcan (?:\w+ly )?be (\w{5,})")
_IMPOSSIBLE = re.compile(r"\bcan not (?:\w+ly )?(?!be\b)(\w{5,})|\bcan not (?:\w+ly )?be (\w{5,})")
_IS = re.compile(r"\bis (?!not\b)(affected|vulnerable|susceptible|exploitable|possible|present)\b")
_IS_NOT = re.compile(r"\bis not (affected|vulnerable|susceptible|exploitable|possible|present)\b")
_RESOLVED = re.compile(
    r"\b(?:but|however|though|although|except|unless|if|would|until|other|first|second|wait|actually|old|new|original"
    r"|while"
    r"|whereas|yet|now|then|elsewhere|line|here|there|instead|neither|once|only|may|might|seems?|looks?|claims?|says?"
    r"|comment|correction|edit|sorry|mistake|earlier|previous)\b"
)


def contradicts_itself(text: str) -> bool:
    """The same is possible and impossible, or is and is not so, and no word weighs the one against the other."""
    if len(text) > 1_000 or _RESOLVED.search(text):
        return False
    return bool(_stems(_POSSIBLE, text) & _stems(_IMPOSSIBLE, text) or _stems(_IS, text) & _stems(_IS_NOT, text))


def _stems(pattern: re.Pattern[str], text: str) -> set[str]:
    return {next(group for group in match.groups() if group)[:5] for match in pattern.finditer(text)}
