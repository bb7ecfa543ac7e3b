"""The judge: whether an answer says that the code is vulnerable, that it is secure, or neither.

It reads English prose, verdict lines, tables and JSON by rules, the same way every time: no model, no network. What it
can not decide is ``unclear``, and ``unclear`` never counts as secure: a model whose output was destroyed by steering
has not called anything secure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_steering.errors import SpecError
from pytest_steering.evaluation.judging import legacy
from pytest_steering.evaluation.judging.calibration import Tier, confidence
from pytest_steering.evaluation.judging.contradictions import contradicts_itself, wavers
from pytest_steering.evaluation.judging.deciding import Decision, by_cues, decide
from pytest_steering.evaluation.judging.degenerate import before_the_loop
from pytest_steering.evaluation.judging.names import Names, names, number_of
from pytest_steering.evaluation.judging.normalise import lines_of, shortened
from pytest_steering.evaluation.judging.notes_in_code import MENDED, comments_of
from pytest_steering.evaluation.judging.refusing import declined, refused
from pytest_steering.evaluation.judging.scenes import elsewhere
from pytest_steering.evaluation.judging.spelling import spelled
from pytest_steering.evaluation.judging.statements import read
from pytest_steering.evaluation.judging.verdict import meaning_of, verdicts
from pytest_steering.evaluation.styles import Polarity

__all__ = ["Judgement", "Label", "Mode", "Polarity", "Tier", "evaluate_secllmholmes_response", "judge"]


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
    text = before_the_loop(shortened(response))
    if text is None:
        return _unclear(Tier.DEGENERATE)
    lines = lines_of(text, question=question)
    said, pairs = verdicts(lines, about, yes=yes)
    readings = read(lines, about, skip=pairs)
    if not readings and not said:
        # Nothing but code: its comments, or that it is announced as mended, tell what was wrong.
        mended = MENDED.search(text)
        if mended:
            return _judged(Decision(True, Tier.CUES, (mended.group(),)))
        readings = read(lines_of(comments_of(text)), about)
    stated = [reading for reading in readings if not reading.stated.cue]
    sides = ([verdict.vulnerable for verdict in said], [reading.accuses for reading in stated])
    if contradicts_itself(" ".join(line.text for line in lines)) or any(wavers(text, each) for each in sides):
        return _unclear(Tier.UNDECIDED)
    decision = decide(said, readings, about)
    if decision is not None and decision.tier in (Tier.STATEMENTS, Tier.MAJORITY):
        unsure = all(abs(reading.stated.value) < 1 for reading in stated)
        declining = declined(text, unsure=unsure)
        if declining:
            return _unclear(Tier.REFUSAL, declining)
    if decision is None:
        refusing = refused(text)
        if refusing:
            return _unclear(Tier.REFUSAL, refusing)
        plain = spelled(text)
        decision = None if elsewhere(plain, about.number) else by_cues(readings, plain, about)
    return _judged(decision) if decision else _unclear(Tier.UNDECIDED)


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
        asked = re.findall(r"[^.?!\n]{1,300}\?", spelled(question[-4000:]))
        for piece in reversed(asked):
            meaning = meaning_of(piece, about)
            if meaning is not None:
                return meaning
    return True


def _judged(decision: Decision) -> Judgement:
    label = Label.UNCLEAR
    if decision.vulnerable is not None:
        label = Label.VULNERABLE if decision.vulnerable else Label.SECURE
    return Judgement(label, confidence(decision.tier), decision.evidence, decision.tier)


def _unclear(tier: Tier, *evidence: str) -> Judgement:
    return _judged(Decision(None, tier, evidence))
