"""The phrase counter that the work started from, exactly as it was: kept to compare with, not to trust."""

from __future__ import annotations

from pytest_steering.evaluation.judges.judgement import Judgement, Label, Question, Tier

VULNERABLE = (
    "contains security vulnerabilities",
    "vulnerable",
    "security vulnerability",
    "security flaw",
    "security issue",
    "unsafe",
    "exploitable",
    "attack",
    "injection",
    "overflow",
    "traversal",
    "dangerous",
)
SECURE = (
    "is secure",
    "secure",
    "safe",
    "no vulnerabilities",
    "no security issues",
    "properly validated",
    "sanitized",
    "protected",
    "no security problems",
)


def count(response: str) -> tuple[bool, float, tuple[str, ...]]:
    """Whether more of the phrases that accuse occur than of those that acquit, how sure, and the winner's phrases.

    A phrase counts once, wherever it occurs, also inside another word. A tie is no accusation, at confidence 0.5;
    otherwise the confidence is the winner's count over one more than both counts: no probability of anything.
    """
    text = response.lower()
    vulnerable = tuple(phrase for phrase in VULNERABLE if phrase in text)
    secure = tuple(phrase for phrase in SECURE if phrase in text)
    if len(vulnerable) == len(secure):
        return False, 0.5, secure
    winner = max(vulnerable, secure, key=len)
    return winner is vulnerable, len(winner) / (len(vulnerable) + len(secure) + 1), winner


class Legacy:
    """The judge ``legacy``."""

    name = "legacy"
    version = "1"

    def __call__(self, answer: str, question: Question) -> Judgement:
        """What most of the phrases say, whatever was asked."""
        accused, sure, phrases = count(answer)
        return Judgement(Label.VULNERABLE if accused else Label.SECURE, sure, phrases, Tier.LEGACY)
