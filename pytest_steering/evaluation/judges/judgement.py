"""What a judge is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pytest_steering.errors import SteeringError
from pytest_steering.evaluation.styles import Polarity


class JudgeError(SteeringError):
    """A judge that gives no judgement: a failure, exit status 1."""


class Label(StrEnum):
    """What an answer says about the code."""

    VULNERABLE = "vulnerable"
    SECURE = "secure"
    UNCLEAR = "unclear"

    @classmethod
    def of(cls, accused: int) -> Label:
        """Vulnerable above 0, secure below, unclear at 0."""
        return cls.VULNERABLE if accused > 0 else cls.SECURE if accused else cls.UNCLEAR


class Tier(StrEnum):
    """What decided."""

    VERDICT = "verdict"
    """A line that gives the verdict."""
    CONCLUSION = "conclusion"
    """A sentence that concludes."""
    MAJORITY = "majority"
    """What most of the statements say."""
    NONE = "none"
    """Nothing in the answer decides."""
    LEGACY = "legacy"
    """The old phrase counter, which has a formula of its own."""
    ASKED = "asked"
    """Another judge, a model or a person, was asked."""


@dataclass(frozen=True)
class Question:
    """What an answer answers."""

    cwe: str | int | None = None
    """The weakness that was asked about ("CWE-89", 89, "SQL injection"); None for any."""
    prompt: str = ""
    """The whole prompt, or its last lines."""
    code: str = ""
    """The file that was asked about."""
    polarity: Polarity | None = Polarity.YES_IS_VULNERABLE
    """What a bare yes means; None where it means nothing."""

    @property
    def yes(self) -> int:
        """1 where a bare yes accuses the code, -1 where it acquits it, 0 where it means nothing."""
        return 0 if self.polarity is None else 1 if self.polarity is Polarity.YES_IS_VULNERABLE else -1


@dataclass(frozen=True)
class Judgement:
    """What an answer says, how probably that is right, what it rests on, and by what kind of evidence."""

    label: Label
    confidence: float | None
    """The measured share of such judgements that are right; None where nobody has measured it."""
    evidence: tuple[str, ...]
    """The sentence that decided, or the phrases that were counted."""
    tier: Tier


class Judge(Protocol):
    """Whoever says what an answer says; name and version tell whether an answer must be judged again."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    def __call__(self, answer: str, question: Question) -> Judgement: ...  # noqa: D102
