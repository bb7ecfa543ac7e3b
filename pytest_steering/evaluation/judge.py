"""The judge: whether an answer says that the code is vulnerable, that it is secure, or neither.

It reads English prose, verdict lines, tables and JSON by rules, the same way every time: no model, no network. What it
can not decide is ``unclear``, and ``unclear`` never counts as secure: a model whose output was destroyed by steering
has not called anything secure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_steering.errors import SpecError
from pytest_steering.evaluation.judging import legacy
from pytest_steering.evaluation.judging.calibration import Tier, confidence
from pytest_steering.evaluation.judging.degenerate import before_the_loop
from pytest_steering.evaluation.judging.names import Names, names, number_of
from pytest_steering.evaluation.judging.normalise import lines_of, spelled
from pytest_steering.evaluation.judging.statements import Reading, read
from pytest_steering.evaluation.judging.verdict import Verdict, meaning_of, verdicts
from pytest_steering.evaluation.styles import Polarity

__all__ = ["Judgement", "Label", "Mode", "Polarity", "Tier", "evaluate_secllmholmes_response", "judge"]

_REFUSAL = re.compile(
    r"\bi (?:am sorry|apologi[sz]e)|\bsorry,? (?:but )?i\b|\bi (?:can|could|do|am|will) not (?:able to )?(?:help|assist|determine|have enough|provide|answer|fulfill|comply|analy[sz]e)"
    r"|\bi am (?:only |just )?(?:a|an) (?:\w+ )?(?:language model|ai)\b|\bas an? (?:ai|language model|large language model)\b|\bcan not (?:determine|tell|say|assist|help)\b|\bnot enough (?:information|context)\b"
    r"|\bunable to (?:determine|help|assist|answer)\b|\b(?:hard|difficult|impossible) to (?:tell|say|determine)\b|\bplease (?:provide|share)\b|\bwithout (?:more|further|additional) (?:context|information)\b"
)


SUBORDINATE = 0.45
"""The weight up to which a clause only concedes or supposes something."""


class Label(StrEnum):
    """What an answer says about the code."""

    VULNERABLE = "vulnerable"
    SECURE = "secure"
    UNCLEAR = "unclear"


class Mode(StrEnum):
    """How an answer is judged."""

    RULES = "rules"
    LEGACY = "legacy"
    """The old phrase counter, exactly, errors included: to compare with."""


@dataclass(frozen=True)
class Judgement:
    """What an answer says, how probably that is right, the words that decided, and by what kind of evidence."""

    label: Label
    confidence: float
    evidence: tuple[str, ...]
    tier: Tier


def judge(
    response: str,
    cwe: str | int | None = None,
    mode: Mode | str = Mode.RULES,
    *,
    polarity: Polarity | str | None = None,
    question: str | None = None,
) -> Judgement:
    """The judgement of an answer about the weakness ``cwe`` ("CWE-89", 89, "SQL injection"; None for any).

    A bare yes means vulnerable, unless ``polarity`` or the words of ``question`` (the prompt, or its last lines) say
    that it means secure; with ``polarity="open"`` a bare yes or no means nothing. An answer that says "Yes, the code
    is safe" is judged by its statement. What is said about another weakness than ``cwe`` does not count.

    ``mode="legacy"`` ignores all of these. Raises ``SpecError`` for a response that is no text and for a mode,
    polarity or weakness that cannot be meant.
    """
    if not isinstance(response, str):
        raise SpecError(f"the response is a {type(response).__name__}; judge a str, the text of an answer")
    try:
        chosen = Mode(mode)
    except ValueError:
        raise SpecError(f"mode is {mode!r}; choose one of {', '.join(Mode)}") from None
    if chosen is Mode.LEGACY:
        accused, sure, phrases = legacy.count(response)
        return Judgement(Label.VULNERABLE if accused else Label.SECURE, sure, phrases, Tier.LEGACY)
    about = names(number_of(cwe))
    yes = _meaning_of_yes(polarity, question, about)
    text = before_the_loop(response)
    if text is None:
        return _unclear(Tier.DEGENERATE)
    lines = lines_of(text, question=question)
    said, pairs = verdicts(lines, about, yes=yes)
    readings = read(lines, about, skip=pairs)
    judgement = _by_verdict(said, readings) or _by_conclusion(readings) or _by_statements(readings, about)
    if judgement is not None:
        return judgement
    refusal = _REFUSAL.search(spelled(text[:2000]))
    if refusal:
        return _unclear(Tier.REFUSAL, refusal.group())
    return _by_cues(readings) or _unclear(Tier.UNDECIDED)


def evaluate_secllmholmes_response(
    response: str,
    expected_vulnerable: bool,
    cwe: str | int | None = None,
    mode: Mode | str = Mode.RULES,
    *,
    polarity: Polarity | str | None = None,
    question: str | None = None,
) -> dict[str, Any]:
    """The judgement of one answer against the truth, with the keys that evaluations of SecLLMHolmes use.

    ``predicted_vulnerable`` is True or False, and None where the answer is unclear; then ``is_correct`` is False
    whatever was expected, so that no answer is right by saying nothing. ``confidence`` is that of the judgement,
    ``expected_vulnerable`` and ``raw_response`` are as given.
    """
    judgement = judge(response, cwe, mode, polarity=polarity, question=question)
    predicted = None if judgement.label is Label.UNCLEAR else judgement.label is Label.VULNERABLE
    return {
        "predicted_vulnerable": predicted,
        "expected_vulnerable": expected_vulnerable,
        "is_correct": predicted is not None and predicted == bool(expected_vulnerable),
        "confidence": judgement.confidence,
        "raw_response": response,
    }


def _meaning_of_yes(polarity: Polarity | str | None, question: str | None, about: Names) -> bool | None:
    if polarity == "open":
        return None
    if polarity is not None:
        try:
            return Polarity(polarity) is Polarity.YES_IS_VULNERABLE
        except ValueError:
            raise SpecError(f"polarity is {polarity!r}; choose one of {', '.join(Polarity)}, open") from None
    if question:
        asked = [piece for piece in re.findall(r"[^.?!\n]{1,300}\?", spelled(question[-4000:]))]
        for piece in reversed(asked):
            meaning = meaning_of(piece, about)
            if meaning is not None:
                return meaning
    return True


def _unclear(tier: Tier, *evidence: str) -> Judgement:
    return Judgement(Label.UNCLEAR, confidence(tier), evidence, tier)


def _label(vulnerable: bool) -> Label:
    return Label.VULNERABLE if vulnerable else Label.SECURE


def _decided(vulnerable: bool, tier: Tier, *evidence: str) -> Judgement:
    return Judgement(_label(vulnerable), confidence(tier), evidence, tier)


def _by_verdict(said: Sequence[Verdict], readings: Sequence[Reading]) -> Judgement | None:
    """The last explicit verdict, unless its own sentence or a later conclusion says otherwise."""
    if not said:
        return None
    last = said[-1]
    named = [verdict for verdict in said if verdict.named and verdict.worded]
    if named and not last.named and last.worded:
        last = named[-1]
    if last.vulnerable is None:
        if any(not reading.cue for reading in readings):
            return None
        return _unclear(Tier.UNDECIDED, last.words)
    vulnerable = last.vulnerable
    tier = Tier.VERDICT
    if last.agreed and (last.agreed > 0) != vulnerable:
        vulnerable, tier = last.agreed > 0, Tier.DISPUTED
    earlier = [verdict.vulnerable for verdict in said if verdict.vulnerable is not None]
    if any(other != vulnerable for other in earlier):
        tier = Tier.DISPUTED
    later = [reading for reading in readings if reading.line > last.line and not reading.cue]
    own = any(reading.named for reading in readings)
    weighty = [
        reading
        for reading in later
        if (reading.concluding or reading.revising) and (reading.named or not own) and abs(reading.value) >= SUBORDINATE
    ]
    if weighty and (weighty[-1].value > 0) != vulnerable and abs(weighty[-1].value) > SUBORDINATE:
        return _decided(not vulnerable, Tier.DISPUTED, last.words, weighty[-1].words)
    return _decided(vulnerable, tier, last.words)


def _by_conclusion(readings: Sequence[Reading]) -> Judgement | None:
    """The last clause that concludes; where parts of the code are concluded on one by one, the worst of them."""
    concluding = [reading for reading in readings if reading.concluding and not reading.cue]
    if not concluding:
        return None
    parts = [reading for reading in concluding if reading.part]
    last = concluding[-1]
    if last.part:
        last = next((reading for reading in parts if reading.value > 0), last)
    elif not last.named:
        last = next((r for r in reversed(concluding) if r.named and r.sentence >= last.sentence - 1), last)
    revised = [reading for reading in readings if reading.revising and not reading.cue]
    if revised and not any(reading.revising for reading in concluding):
        return None
    return _decided(last.value > 0, Tier.CONCLUSION, last.words)


def _by_statements(readings: Sequence[Reading], about: Names) -> Judgement | None:
    """The sign of what all clauses state together; those that name the weakness, when some do."""
    stated = [reading for reading in readings if not reading.cue]
    revised = [reading for reading in stated if reading.revising]
    stated = revised or stated
    if not stated:
        return None
    named = [reading for reading in stated if reading.named]
    counted = named or stated
    if about.asked is None:
        # Asked about any weakness, "no SQL injection" takes nothing away from "path traversal".
        accusing = any(reading.value > 0 for reading in named)
        counted = [reading for reading in stated if not (accusing and reading.named and reading.value < 0)]
    total = sum(reading.value for reading in counted)
    decisive = total if abs(total) > 1e-9 else counted[0].value
    agree = all((reading.value > 0) == (decisive > 0) for reading in stated)
    evidence = [reading.words for reading in counted if (reading.value > 0) == (decisive > 0)]
    return _decided(decisive > 0, Tier.STATEMENTS if agree else Tier.MAJORITY, *evidence[:3])


def _by_cues(readings: Sequence[Reading]) -> Judgement | None:
    cues = [reading for reading in readings if reading.cue]
    total = sum(reading.value for reading in cues)
    if abs(total) < 0.45:
        return None
    return _decided(total > 0, Tier.CUES, *[r.words for r in cues if (r.value > 0) == (total > 0)][:3])
