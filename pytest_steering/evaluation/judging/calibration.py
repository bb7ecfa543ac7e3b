"""How sure one may be of a label, by what decided it: one small table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Tier(StrEnum):
    """What decided."""

    VERDICT = "verdict"
    """An explicit verdict, and no other one against it."""
    DISPUTED = "disputed"
    """An explicit verdict that another one, or a later conclusion, contradicts."""
    CONCLUSION = "conclusion"
    """A sentence that concludes."""
    STATEMENTS = "statements"
    """What the clauses state, when all agree."""
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
    """The old phrase counter, which has a formula of its own."""


FIRST_LOOKS: Mapping[Tier, tuple[int, int]] = MappingProxyType(
    {
        Tier.VERDICT: (164, 171),
        Tier.DISPUTED: (14, 18),
        Tier.CONCLUSION: (30, 32),
        Tier.STATEMENTS: (94, 112),
        Tier.MAJORITY: (5, 8),
        Tier.CUES: (88, 109),
        Tier.UNDECIDED: (41, 100),
        Tier.REFUSAL: (13, 15),
        Tier.DEGENERATE: (17, 17),
    }
)
"""Labels that were right, of those given, when the rules first met an answer.

582 answers, each judged before the rules were changed for it: 229 invented ones in three portions while the rules
were made (conformance/selftest/answers: tuned.txt in two, afterwards.txt), 175 by another author, who had not seen the
rules, then the 80 of mechanisms.txt and the 98 of again.txt, which mostly describe and so are harder than what models
say. After the changes nearly all are right, which says nothing; the first look does. The 175 met the rules before they
knew how a weakness works, so for "cues" and "undecided" they say what older rules did: those two are on the low side.
The 142 answers of held_out.txt and fresh.txt had no part in these numbers.
"""


def confidence(tier: Tier) -> float:
    """The probability that a label of this tier is right: its share of first looks, by the rule of succession."""
    right, judged = FIRST_LOOKS[tier]
    return (right + 1) / (judged + 2)
