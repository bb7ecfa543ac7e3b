"""How sure one may be of a label, by what decided it: one small table."""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """What decided."""

    VERDICT = "verdict"
    """An explicit verdict, and nothing speaks against it."""
    DISPUTED = "disputed"
    """An explicit verdict against which the same answer speaks."""
    CONCLUSION = "conclusion"
    """A sentence that concludes."""
    STATEMENTS = "statements"
    """What most clauses state, when all agree."""
    MAJORITY = "majority"
    """What most clauses state, when some do not agree."""
    CUES = "cues"
    """What is described: a missing check, a bound parameter."""
    UNDECIDED = "undecided"
    """Nothing in the text decides."""
    REFUSAL = "refusal"
    """The text declines to judge."""
    DEGENERATE = "degenerate"
    """The same few words over and over, or none."""
    LEGACY = "legacy"
    """The old phrase counter."""


RIGHT: dict[Tier, float] = dict.fromkeys(Tier, 0.9)


def confidence(tier: Tier) -> float:
    """The probability that a label of this tier is right."""
    return RIGHT[tier]
