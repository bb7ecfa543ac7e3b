"""Which weakness an answer is about that names none: the things that it speaks of."""

from __future__ import annotations

import re

SCENES: dict[int, re.Pattern[str]] = {
    22: re.compile(r"\b(?:files?|paths?|director(?:y|ies)|folders?|root|slash(?:es)?|archive|dots?)\b"),
    77: re.compile(r"\b(?:shell|commands?|programs?|bash|semicolons?|backticks?|arguments?|spaces?)\b"),
    79: re.compile(r"\b(?:browsers?|scripts?|javascript|html|page|markup|cookies?|tags?|template)\b"),
    89: re.compile(r"\b(?:sql|quer(?:y|ies)|statements?|tables?|rows?|database|quotes?|union|select|where)\b"),
    190: re.compile(
        r"\b(?:wraps?|multipl\w+|product|sum|integers?|bits|arithmetic|result|comput\w+|count|add\w*|fits?|int"
        r"|largest|exceeds?)\b"
    ),
    416: re.compile(r"\b(?:freed?|releas\w*|delet\w*|dangling|destroy\w*|stale|lifetime|eras\w*|invalid\w*)\b"),
    476: re.compile(r"\b(?:null|none|missing|absent|checks?|checked|tested|crash\w*|fails?|objects?)\b"),
    787: re.compile(r"\b(?:buffer|array|index|length|bytes?|bounds?|room|stack|heap|variables?|elements?)\b"),
}
"""What the talk is of where it is about one weakness."""


def elsewhere(text: str, number: int | str | None) -> bool:
    """Whether a description is about another weakness: two words of that one are in it, and none of this."""
    if not isinstance(number, int) or number not in SCENES or SCENES[number].search(text):
        return False
    return any(len(set(scene.findall(text))) > 1 for scene in SCENES.values())
