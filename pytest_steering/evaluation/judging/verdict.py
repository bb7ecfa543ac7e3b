"""Explicit verdicts: a yes or no that answers the question, a line that says "Vulnerable.", a cell of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from pytest_steering.evaluation.judging.clauses import clauses_of
from pytest_steering.evaluation.judging.names import Names
from pytest_steering.evaluation.judging.normalise import ASKED, Line
from pytest_steering.evaluation.judging.pairs import STATE_BAD, STATE_GOOD, Verdict, pairs_in
from pytest_steering.evaluation.judging.parts import CONDITION
from pytest_steering.evaluation.judging.statements import sentences
from pytest_steering.evaluation.judging.yes_no import ENDING, LEADING, affirms

_STATE = re.compile(rf"^\W*(?:(?P<good>{STATE_GOOD})|(?P<bad>{STATE_BAD}))\s*(?:[.,;:!(]|-|$)")
_NA = re.compile(
    r"^\W*(?:(?:final |the )?(?:answer|verdict|decision|conclusion|result)\W+(?:is\W+)?)?"
    r"(?:n/a|not applicable|na|unknown|undetermined|inconclusive|unclear)\W*(?:$|[.,;:-])"
)
_HEAD = re.compile(
    r"^\W*(?:\d+\W+)?(?:final |short |overall |my |the )*(?:answer|verdict|decision|conclusion|result|fazit"
    r"|antwort)s?\W*$"
)
_CORRECTED = re.compile(
    r"\b(?:should have (?:said|answered|been|read|called it)|chang\w+ (?:my|the) (?:answer|verdict) to|make that)\W+"
    rf"(?:(?P<good>{STATE_GOOD})|(?P<bad>{STATE_BAD}))(?![\w-])"
)
_CHOICE = re.compile(r"^\W*(?:[a-d]|\d)[.)] ?(?:yes|no)\W*$")
_SECURE = re.compile(r"\b(?:secure|safe|free (?:of|from)|protected|immune)\b")
_ACQUITS = re.compile(r"secure|safe|free|protected|immune|properly|correctly|adequately")


def verdicts(lines: tuple[Line, ...], names: Names, *, yes: bool | None) -> tuple[tuple[Verdict, ...], frozenset[int]]:
    """Every explicit verdict in the order of the answer, and the lines that are keys and values and nothing else.

    ``yes`` is what a yes means: True for vulnerable, False for secure, None when it means nothing alone.
    """
    found: list[Verdict] = []
    paired: set[int] = set()
    offered = _offered(lines)
    asked: bool | None = None
    headed = opened = False
    for index, line in enumerate(lines):
        text = line.text
        if line.code or not text or index in offered:
            continue
        pairs = pairs_in(text, line.table, index, names, yes)
        if pairs:
            found += [pair for pair in pairs if isinstance(pair, Verdict)]
            paired.add(index)
            opened, headed, asked = True, False, None
            continue
        if _HEAD.match(text):
            headed = opened = True
            continue
        if _NA.match(text) and (not opened or headed or "answer" in text[:20] or len(text) < 20):
            found.append(Verdict(None, index, text[:40], True))
            opened = True
            continue
        state = _STATE.match(text)
        if state and not (line.heading and text.endswith(":")) and (not opened or headed or not line.listed):
            found.append(Verdict(state.group("bad") is not None, index, state.group().strip(), True))
        for nth, sentence in enumerate(sentences(text)):
            questions = sentence.rstrip("\"') ").endswith("?")
            meaning = yes if asked is None else asked
            leading = LEADING.match(sentence)
            if questions:
                verdict = None
            elif leading:
                # "It is not." answers a question or opens an answer; elsewhere it denies the sentence before.
                elliptic = leading.group("said").startswith(("it ", "this ", "there "))
                stray = (elliptic and opened) or (line.listed and opened and not headed)
                answers = asked is not None or not (stray or _asks_otherwise(lines, index, sentence))
                verdict = (
                    _said(leading.group("said"), sentence, leading.end(), index, names, meaning) if answers else None
                )
            elif corrected := _CORRECTED.search(sentence):
                verdict = Verdict(corrected.group("bad") is not None, index, corrected.group(), True)
            else:
                verdict = _ending(sentence, index, names, meaning)
            found += [replace(verdict, nth=nth)] if verdict is not None else []
            asked = meaning_of(sentence, names) if questions or ASKED.search(sentence) else None
            opened = True
        headed = False
    return tuple(found), frozenset(paired)


def meaning_of(question: str, names: Names) -> bool | None:
    """What a yes to a question means: True for vulnerable, False for secure, None when it asks something else."""
    found = [match for match in (_SECURE.search(question), names.atoms.search(question)) if match]
    if not found:
        return None
    first = min(found, key=lambda match: match.start())
    accuses = not _ACQUITS.match(first.group())
    return accuses != bool(re.search(r"\bnot\b", question[max(0, first.start() - 30) : first.start()]))


def _offered(lines: Sequence[Line]) -> frozenset[int]:
    """Lines that offer answers to choose from, "A. Yes" and "B. No", are none."""
    choices = [index for index, line in enumerate(lines) if _CHOICE.match(line.text)]
    return frozenset(choices) if len(choices) > 1 else frozenset()


def _asks_otherwise(lines: Sequence[Line], index: int, sentence: str) -> bool:
    """What stands before asks about something else, and this is the answer to that."""
    position = lines[index].text.find(sentence)
    before = lines[index].text[: max(0, position)].rstrip()
    if not before:
        before = next((line.text for line in reversed(lines[max(0, index - 5) : index]) if line.text), "")
    return before.endswith("?") and not ASKED.search(before)


def _ending(sentence: str, index: int, names: Names, meaning: bool | None) -> Verdict | None:
    match = ENDING.search(sentence)
    before = sentence[: match.start()] if match else ""
    if match is None or re.search(r"\bif\b", before[-40:]) or CONDITION.match(before):
        return None
    said = next(word for word in match.groups() if word)
    return _said(said, sentence, match.end(), index, names, meaning)


def _said(said: str, sentence: str, end: int, index: int, names: Names, meaning: bool | None) -> Verdict | None:
    """A yes or no with what the rest of its sentence states; without a meaning the rest alone decides."""
    rest = clauses_of(sentence[end:].strip(" ,.:;-!"), names)
    stated = next((stated for stated in rest if not stated.cue), None)
    value, named = (stated.value, stated.named) if stated else (0.0, False)
    if meaning is None and names.asked and names.asked.search(sentence[: -len(said)]) and not value:
        # "For CWE-77 my answer is no": it says itself what it answers.
        meaning = True
    if meaning is None:
        return Verdict(value > 0, index, sentence[:80], False, value, named) if value else None
    return Verdict(meaning == affirms(said), index, sentence[:80], False, value, named)
