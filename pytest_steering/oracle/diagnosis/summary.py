"""One cause for a whole run: of those that its failures name, the one that explains the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_steering.oracle.diagnosis.causes import Cause

_ORDER = {cause: number for number, cause in enumerate(Cause)}


@dataclass(frozen=True)
class Failed:
    """A test that failed: the requirement, the likely cause that its numbers point to, and the reason."""

    id: str
    likely: str
    reason: str


def likely_of(failures: Sequence[Failed]) -> str:
    """The likely cause of all failures of one model under one adapter, in the order in which they were found.

    Where none of them names a class of bugs, the numbers of the first are given and no cause. Without a failure it is
    empty.
    """
    if not failures:
        return ""
    named = [(cause, failed) for failed in failures if (cause := Cause.of(failed.likely)) is not None]
    if not named:
        first = failures[0]
        return f"unknown pattern; {first.id}: {first.reason}"
    cause, failed = min(named, key=lambda pair: _ORDER[pair[0]])
    return failed.likely
