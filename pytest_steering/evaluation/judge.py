"""The judge: whether an answer says that the code is vulnerable, that it is secure, or neither.

What no judge can decide is ``unclear``, and ``unclear`` never counts as secure: a model whose output was destroyed by
steering has not called anything secure.
"""

from __future__ import annotations

import re
from typing import Any

from pytest_steering.errors import SpecError
from pytest_steering.evaluation.judges.choosing import BUILT_IN
from pytest_steering.evaluation.judges.judgement import Judgement, Label, Question, Tier
from pytest_steering.evaluation.styles import Polarity

__all__ = ["Judgement", "Label", "Polarity", "Tier", "evaluate_secllmholmes_response", "judge"]

_ASKS_FOR_SECURE = re.compile(
    r"\b(?:is|are) (?:this|the|that)(?: \w+){1,3}? (?:free of|secure|safe|protected)\b[^?]*\?"
)


def judge(
    response: str,
    cwe: str | int | None = None,
    mode: str = "rules",
    *,
    polarity: Polarity | str | None = None,
    question: str | None = None,
) -> Judgement:
    """The judgement of an answer about the weakness ``cwe`` ("CWE-89", 89, "SQL injection"; None for any).

    A bare yes means vulnerable, unless ``polarity`` or the words of ``question`` (the prompt, or its last lines) say
    that it means secure; with ``polarity="open"`` a bare yes or no means nothing. An answer that says "Yes, the code
    is safe" is judged by its statement. What is said about another weakness than ``cwe`` does not count.

    ``mode="legacy"``, the old phrase counter, ignores all of these. Raises ``SpecError`` for a response that is no
    text and for a mode, polarity or weakness that cannot be meant.
    """
    if not isinstance(response, str):
        raise SpecError(f"the response is a {type(response).__name__}; judge a str, the text of an answer")
    if mode not in BUILT_IN:
        raise SpecError(f"mode is {mode!r}; choose one of {', '.join(BUILT_IN)}")
    return BUILT_IN[mode](response, Question(cwe, prompt=question or "", polarity=_meaning_of_yes(polarity, question)))


def _meaning_of_yes(polarity: Polarity | str | None, question: str | None) -> Polarity | None:
    if polarity is None:
        asked = _ASKS_FOR_SECURE.search((question or "")[-4000:].lower())
        return Polarity.YES_IS_SECURE if asked else Polarity.YES_IS_VULNERABLE
    if polarity not in (*Polarity, "open"):
        raise SpecError(f"polarity is {polarity!r}; choose one of {', '.join(Polarity)}, open")
    return None if polarity == "open" else Polarity(polarity)


def evaluate_secllmholmes_response(
    response: str, expected_vulnerable: bool, cwe: str | int | None = None, mode: str = "rules", **options: Any
) -> dict[str, Any]:
    """The judgement of one answer against the truth, with the keys that evaluations of SecLLMHolmes use.

    ``predicted_vulnerable`` is True or False, and None where the answer is unclear; then ``is_correct`` is False
    whatever was expected, so that no answer is right by saying nothing. ``confidence`` is that of the judgement,
    ``expected_vulnerable`` and ``raw_response`` are as given, and ``options`` are those of :func:`judge`.
    """
    judgement = judge(response, cwe, mode, **options)
    predicted = None if judgement.label is Label.UNCLEAR else judgement.label is Label.VULNERABLE
    return {
        "predicted_vulnerable": predicted,
        "expected_vulnerable": expected_vulnerable,
        "is_correct": predicted is not None and predicted == bool(expected_vulnerable),
        "confidence": judgement.confidence,
        "raw_response": response,
    }
