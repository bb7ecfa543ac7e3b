"""Which weakness an answer is about that names none: the things that it speaks of."""

from __future__ import annotations

import re

SCENES: dict[int, re.Pattern[str]] = {
    22: re.compile(
        r"\b(?:pathcleaner|dotdots|folder|files?|paths?|director(?:y|ies)|folders?|root|slash(?:es)?|archive|dots?"
        r"|travers\w*)\b"
    ),
    77: re.compile(
        r"\b(?:argvcall|shellquoter|shellsink|shellpayload|process|shell|commands?|programs?|bash|semicolons?"
        r"|backticks?|arguments?|spaces?)\b"
    ),
    79: re.compile(
        r"\b(?:render\w*|encod\w*|escap\w*|display\w*|htmlescaper|htmlraw|scripttag|jsurl|browsers?|scripts?"
        r"|javascript|html|page|markup|cookies?|tags?|template)\b"
    ),
    89: re.compile(
        r"\b(?:placeholder|sqlpayload|orm|sql|quer(?:y|ies)|statements?|tables?|rows?|database|quotes?|union|select"
        r"|where)\b"
    ),
    190: re.compile(
        r"\b(?:overflowcheck|overflows?|maximum|products?|wraps?|multipl\w+|product|sum|integers?|bits|arithmetic"
        r"|result|comput\w+|count|add\w*"
        r"|fits?|int"
        r"|largest|exceeds?)\b"
    ),
    416: re.compile(
        r"\b(?:free|smartpointer|alive|owns?|outliv\w+|freed?|releas\w*|delet\w*|dangling|destroy\w*|stale|lifetime"
        r"|eras\w*|invalid\w*)\b"
    ),
    476: re.compile(
        r"\b(?:compared|dereferenc\w*|lookup|nullcheck|nullexception|neverfailing|null|none|missing|absent"
        r"|checks?|checked|tested|crash\w*|fails?"
        r"|objects?)\b"
    ),
    787: re.compile(
        r"\b(?:boundedcopy|unlimitedcopy|loop|buffer|array|index|length|bytes?|bounds?|room|stack|heap|variables?"
        r"|elements?)\b"
    ),
}
"""What the talk is of where it is about one weakness."""


def elsewhere(text: str, number: int | str | None) -> bool:
    """Whether a description is about another weakness: two words of that one are in it, and none of this."""
    if not isinstance(number, int) or number not in SCENES or SCENES[number].search(text):
        return False
    return any(len(set(scene.findall(text))) > 1 for scene in SCENES.values())
