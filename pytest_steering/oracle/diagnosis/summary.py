"""One cause for a whole run: of those that its failures name, the one that explains the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_steering.oracle.diagnosis.causes import PATTERNS, Cause

_ORDER: dict[str, int] = {cause: number for number, cause in enumerate(Cause)}


@dataclass(frozen=True)
class Failed:
    """A test that failed: the requirement, the cause that its numbers point to, as id and as text, and the reason."""

    id: str
    cause: str
    likely: str
    reason: str


@dataclass(frozen=True)
class Explanation:
    """What explains all failures of one model under one adapter: a cause's id, empty where none is named, and text."""

    cause: str = ""
    text: str = ""


def explanation_of(failures: Sequence[Failed]) -> Explanation:
    """The cause that explains the failures best, in the order in which they were found.

    Where none of them names a class of bugs, the numbers of the first are given and no cause. Without a failure it is
    empty.
    """
    if not failures:
        return Explanation()
    named = [failed for failed in failures if failed.cause and failed.cause not in PATTERNS]
    if not named:
        first = failures[0]
        return Explanation(text=f"unknown pattern; {first.id}: {first.reason}")
    best = min(named, key=lambda failed: _ORDER[failed.cause])
    return Explanation(best.cause, best.likely)
