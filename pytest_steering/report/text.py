"""Text of others as it can be shown: what moves a cursor, turns the writing round or is no character is written out."""

from __future__ import annotations

import unicodedata
from typing import Any

_KEPT = frozenset("\n\t")
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Categories of what is not seen: controls, formats (also those that turn the writing round), halves of a character."""


def legible(text: str) -> str:
    """The text with everything that is not seen as ``\\x1b`` or ``\\udce9``; line feeds and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        each if each in _KEPT or unicodedata.category(each) not in _UNSEEN else each.encode("unicode_escape").decode()
        for each in text
    )


def clean(value: Any) -> Any:
    """A document with every text in it :func:`legible`."""
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, dict):
        return {clean(name): clean(each) for name, each in value.items()}
    return [clean(each) for each in value] if isinstance(value, list | tuple) else value
