"""Answers that break off, as those do whose number of tokens is limited."""

from __future__ import annotations

import re

SHORT = 150
"""Characters: a shorter answer may lack its full stop and be whole."""
_MIDWAY = re.compile(r"[\w,<=+/(&-]\s*$")
_ANNOUNCED = re.compile(
    r"^\W*(?:(?:sure|ok|okay|certainly|of course|first)\W+)?(?:to (?:determine|answer|assess|decide|see|find out"
    r"|check)\b|let(?:'s| us| me)\b|i (?:will|would|am going to)\b|in order to\b|we (?:have|need) to\b)"
)


def breaks_off(text: str) -> bool:
    """It ends within a sentence or within a block of code."""
    return len(text) > SHORT and (_MIDWAY.search(text) is not None or text.count("```") % 2 == 1)


def only_announces(text: str) -> bool:
    """It begins with what it is going to do and breaks off."""
    return breaks_off(text) and _ANNOUNCED.match(text) is not None
