"""Which weakness an answer is about: the one that was asked about, or another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pytest_steering.errors import SpecError
from pytest_steering.evaluation.judging.weaknesses import ALIASES, NUMBERS, STRANGERS, words
from pytest_steering.evaluation.judging.words import GENERIC_BAD, GENERIC_GOOD

_NUMBER = re.compile(r"(?:cwe[- ]?)?(\d{1,5})")


@dataclass(frozen=True)
class Names:
    """Patterns for one question: the weakness asked about, other ones, and every word that can decide."""

    asked: re.Pattern[str] | None
    """None when no weakness was named: then every one counts as asked about."""
    others: re.Pattern[str]
    atoms: re.Pattern[str]
    """Groups ``name`` (a weakness that counts), ``bad`` and ``good``."""
    number: int | str | None = None
    """Which weakness was asked about."""


def number_of(cwe: str | int | None) -> int | str | None:
    """The number of a weakness that is given as ``"CWE-89"``, ``89`` or by a name; an unknown name as it is."""
    if cwe is None or isinstance(cwe, bool):
        return None
    text = re.sub(r"[\s_]+", " ", str(cwe)).strip().lower()
    if not text:
        return None
    match = _NUMBER.fullmatch(text.replace("cwe ", "cwe-"))
    if match:
        number = int(match.group(1))
        return number if number in ALIASES else NUMBERS.get(number, number)
    for number, aliases in ALIASES.items():
        if any(re.fullmatch(alias, text) for alias in aliases):
            return number
    if not re.search(r"[a-z]", text):
        raise SpecError(f"cwe is {cwe!r}: give a weakness such as 'CWE-89' or 'SQL injection', or None for any")
    return text


@lru_cache(maxsize=64)
def names(asked: int | str | None) -> Names:
    """The patterns for a question about ``asked``, a number or a name from :func:`number_of`."""
    if isinstance(asked, str):
        own: tuple[str, ...] = (re.escape(asked),)
    elif asked is None:
        own = tuple(alias for aliases in ALIASES.values() for alias in aliases) + STRANGERS + (r"cwe[- ]?\d+",)
    else:
        numbers = [asked, *(near for near, number in NUMBERS.items() if number == asked)]
        own = ALIASES.get(asked, ()) + tuple(rf"cwe[- ]?0*{number}" for number in numbers)
    others = [alias for number, aliases in ALIASES.items() if number != asked for alias in aliases]
    foreign = words(*others, *STRANGERS, r"cwe[- ]?\d+")
    return Names(
        asked=None if asked is None else words(*own),
        others=foreign,
        atoms=re.compile(
            f"(?P<name>{words(*own).pattern})|(?P<bad>{words(*GENERIC_BAD).pattern})"
            f"|(?P<good>{words(*GENERIC_GOOD).pattern})"
        ),
        number=asked,
    )
