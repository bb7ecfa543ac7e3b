"""Text that says the same few words over and over, as a model does that was steered too hard."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+")
LONGEST_UNIT = 4
"""Words in a unit that repeats: whole sentences are longer, and one that repeats still says what it says."""

LOOPING = 0.4
"""The share of all words in one loop from which on the text is one."""


def before_the_loop(text: str) -> str | None:
    """The text up to where a short unit begins to repeat; all of it when none does, None when little else is there."""
    found = list(_WORD.finditer(text))
    spoken = [match.group().lower() for match in found]
    if not spoken:
        return None
    different = len(set(spoken))
    if len(spoken) >= 3 and different == 1:
        return None
    if len(spoken) >= 8 and different <= min(6, max(4, 0.45 * len(spoken))) and not _is_a_sentence(spoken):
        return None
    for period in range(1, LONGEST_UNIT + 1):
        run = 0
        for position in range(period, len(spoken)):
            run = run + 1 if spoken[position] == spoken[position - period] else 0
            if run >= max(5, 2 * period) and run + period >= LOOPING * len(spoken):
                start = position - run - period + 1
                return text[: found[start].start()] if start >= 5 else None
    return text


def _is_a_sentence(spoken: list[str]) -> bool:
    """The words are one long unit over and over."""
    for period in range(LONGEST_UNIT + 1, min(16, len(spoken) // 2) + 1):
        if all(spoken[position] == spoken[position - period] for position in range(period, len(spoken))):
            return True
    return False
