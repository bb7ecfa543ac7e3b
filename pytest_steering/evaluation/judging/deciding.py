"""What decides: an explicit verdict, else a conclusion, else what most clauses state, else what is described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_steering.evaluation.judging.breaking_off import breaks_off, only_announces
from pytest_steering.evaluation.judging.calibration import Tier
from pytest_steering.evaluation.judging.names import Names
from pytest_steering.evaluation.judging.pairs import Verdict
from pytest_steering.evaluation.judging.statements import Reading

SUBORDINATE = 0.45
"""The weight up to which a clause only supposes something: it overrules no verdict."""
LONG = 350
"""Characters of a description that is of more than one thing."""
ENOUGH = 2
"""Sentences that acquit in a long description."""
SHOWN = 3
"""Clauses that are given as evidence."""


@dataclass(frozen=True)
class Decision:
    """``vulnerable`` is None where the text says that the question does not apply."""

    vulnerable: bool | None
    tier: Tier
    evidence: tuple[str, ...]


def decide(said: Sequence[Verdict], readings: Sequence[Reading], names: Names) -> Decision | None:
    """The decision by what judges, or None when nothing does."""
    stated = [reading for reading in readings if not reading.stated.cue]
    cues = [reading for reading in readings if reading.stated.cue]
    return (
        _by_verdict(said, stated, cues)
        or _by_conclusion(stated)
        or _overruled(stated, cues)
        or _by_statements(stated, names)
    )


def by_cues(readings: Sequence[Reading], text: str, names: Names) -> Decision | None:
    """The decision by what is only described, or None when that is balanced or nothing.

    Where some speaks for and some against, the last that concludes, or follows a contrast, has the last word. A
    description that breaks off acquits of nothing, nor does one sentence of a long one that names no weakness.
    """
    if only_announces(text):
        return None
    decision = _by_cues(readings)
    if decision is not None and not decision.vulnerable:
        few = len({reading.sentence for reading in readings if reading.stated.cue}) < ENOUGH
        few = few and not (names.asked and names.asked.search(text))
        if breaks_off(text) or (few and len(text) > LONG):
            return None
    return decision


def _by_cues(readings: Sequence[Reading]) -> Decision | None:
    cues = [reading for reading in readings if reading.stated.cue]
    cues = [reading for reading in cues if reading.revising] or cues
    if len({reading.accuses for reading in cues}) > 1:
        turned = [r for r in cues if r.concluding] or [r for r in cues if r.stated.turned]
        cues = turned[-1:] or cues
        if turned:
            return _majority(cues, Tier.CUES)
    if cues and abs(_sum(cues)) < SUBORDINATE <= abs(cues[-1].stated.value):
        # As much for as against: a description ends with what follows from it.
        cues = cues[-1:]
    return _majority(cues, Tier.CUES) if abs(_sum(cues)) >= SUBORDINATE else None


def _overruled(stated: Sequence[Reading], cues: Sequence[Reading]) -> Decision | None:
    """What is described after a second thought or in a later contrast, against statements that name no weakness."""
    if not stated or any(reading.revising for reading in stated):
        return None
    last = stated[-1]
    again = [reading for reading in cues if reading.revising]
    if not again and not last.accuses and not any(reading.stated.named for reading in stated):
        again = [r for r in cues if r.sentence > last.sentence and r.stated.turned]
    if not again or again[-1].accuses == last.accuses or len({r.accuses for r in stated}) > 1:
        return None
    return Decision(again[-1].accuses, Tier.MAJORITY, (last.stated.words, again[-1].stated.words))


def _by_verdict(said: Sequence[Verdict], stated: Sequence[Reading], cues: Sequence[Reading]) -> Decision | None:
    """The last explicit verdict, unless its own sentence or a later conclusion says otherwise."""
    if not said:
        return None
    last = said[-1]
    named = [verdict for verdict in said if verdict.named and verdict.worded]
    if named and last.worded and not last.named:
        last = named[-1]
    if last.vulnerable is None:
        return None if stated else Decision(None, Tier.UNDECIDED, (last.words,))
    vulnerable = last.agreed > 0 if last.agreed else last.vulnerable
    about = any(reading.stated.named for reading in stated)
    against = [
        reading
        for reading in stated
        if (reading.line, reading.nth) > (last.line, last.nth)
        and (reading.concluding or reading.revising)
        and (reading.stated.named or not about)
        and abs(reading.stated.value) > SUBORDINATE
    ]
    if not against:
        # A second thought that only describes: "No. Wait, the index is never compared with the length."
        against = [r for r in cues if r.revising and (r.line, r.nth) > (last.line, last.nth)]
    if against and against[-1].accuses != vulnerable:
        return Decision(not vulnerable, Tier.DISPUTED, (last.words, against[-1].stated.words))
    disputed = any(verdict.vulnerable not in (None, vulnerable) for verdict in said)
    return Decision(vulnerable, Tier.DISPUTED if disputed else Tier.VERDICT, (last.words,))


def _by_conclusion(stated: Sequence[Reading]) -> Decision | None:
    """The last clause that concludes; where parts of the code are concluded on one by one, the worst of them."""
    concluding = [reading for reading in stated if reading.concluding]
    thought_again = any(reading.revising for reading in stated)
    if not concluding or (thought_again and not any(reading.revising for reading in concluding)):
        return None
    last = concluding[-1]
    if last.part:
        last = next((reading for reading in concluding if reading.part and reading.accuses), last)
    elif not last.stated.named:
        near = [r for r in concluding if r.stated.named and r.sentence >= last.sentence - 1]
        last = near[-1] if near else last
    return Decision(last.accuses, Tier.CONCLUSION, (last.stated.words,))


def _by_statements(stated: Sequence[Reading], names: Names) -> Decision | None:
    """What all clauses state together; those that name the weakness, when some do."""
    counted = [reading for reading in stated if reading.revising] or list(stated)
    if not counted:
        return None
    named = [reading for reading in counted if reading.stated.named]
    if names.asked is not None:
        counted = named or counted
    elif any(reading.accuses for reading in named):
        # Asked about any weakness, "no SQL injection" takes nothing away from "path traversal".
        counted = [reading for reading in counted if reading.accuses or not reading.stated.named]
    agree = all(reading.accuses == counted[0].accuses for reading in stated)
    return _majority(counted, Tier.STATEMENTS if agree else Tier.MAJORITY)


def _majority(counted: Sequence[Reading], tier: Tier) -> Decision:
    """The sign of the sum; where it is zero, the last that follows a contrast, else the first."""
    total = _sum(counted)
    vulnerable = total > 0 if abs(total) > 1e-9 else _tied(counted).accuses
    words = tuple(reading.stated.words for reading in counted if reading.accuses == vulnerable)
    return Decision(vulnerable, tier, words[:SHOWN])


def _tied(counted: Sequence[Reading]) -> Reading:
    return ([reading for reading in counted if reading.stated.turned] or list(counted[:1]))[-1]


def _sum(readings: Sequence[Reading]) -> float:
    return sum(reading.stated.value for reading in readings)
