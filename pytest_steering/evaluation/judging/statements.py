"""What an answer states, in its order; advice, definitions, conditions and questions state nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pytest_steering.evaluation.judging import hushing, parts
from pytest_steering.evaluation.judging.clauses import Stated, clauses_of
from pytest_steering.evaluation.judging.columns import asked_in_columns, guard_named
from pytest_steering.evaluation.judging.cues import WEIGHT
from pytest_steering.evaluation.judging.names import Names
from pytest_steering.evaluation.judging.normalise import ASKED, Line

_LABEL = re.compile(r"^\W*(?:\d+\W+)?([\w -]{3,40}):\s")
_SENTENCE_LIKE = re.compile(r"\b(?:is|are|no|not|contains?|has|does)\b")
_SOUGHT = re.compile(
    r"\b(?:comparison|check|test|validation|escaping|encoding|saniti[sz]\w*|guard|limit|filter|normali[sz]ation|reset"
    r"|assignment|placeholder|binding|quoting|bound)\b"
)
_LESSON = re.compile(
    r"\bis (?:an? |one of the )?(?:very )?(?:common|frequent|classic|typical|well-known|popular) (?:\w+ )?(?:mistake"
    r"|error|bug|weakness"
    r"|flaw|problem|pitfall|source)"
)
"""Explains in general."""
_LOOKED = re.compile(
    r"\b(?:look|search|hunt|check|try|tri)\w* (?:for|to find) ([^.;]{3,80}?)[ ,]+(?:and|but|yet)? ?(?:i |we"
    r" )?(?:found|saw|see|find|came"
    r" up with|discovered|not find|(?:can|could) (?:not )?(?:find|see)) (?:none|nothing|no\b|any\b|one\b|it\b)"
)
"""What was looked for and not found; a guard that is not found is missing."""
_IN_VAIN = re.compile(
    r"\b(?:not find (?:one|any|it)(?= ?[.,;]| in| here| any|$)|(?:find|found|see|saw) none|there (?:is|are) (?:none"
    r"|no such)"
    r"|is (?:nowhere|none|not there|missing|absent)\b|in vain)"
)
"""After a sentence that speaks of a guard: there is none."""
_PART = re.compile(r"\ba-s\d|\bs\d\b")


@dataclass(frozen=True)
class Reading:
    """One statement and where it stands."""

    stated: Stated
    line: int
    nth: int
    """Which sentence of its line it is."""
    sentence: int
    """Which sentence of the answer it is."""
    concluding: bool = False
    part: bool = False
    """It is about one part of the code, as in "Based on A-S1, …"."""
    revising: bool = False
    """It follows the last place where the writer thought again."""

    @property
    def accuses(self) -> bool:
        """It says vulnerable; otherwise it says secure."""
        return self.stated.value > 0


def read(lines: tuple[Line, ...], names: Names, *, skip: frozenset[int] = frozenset()) -> tuple[Reading, ...]:
    """Every statement of the lines but those in ``skip``."""
    found: list[Reading] = []
    advising = rewritten = concluding = defining = beside = False
    said_before: tuple[int, float] = (0, 0.0)
    revised: int | None = None
    number = 0
    for index, line in enumerate(lines):
        guard = guard_named(line.text)
        if guard and not line.code:
            found.append(Reading(Stated(*guard, cue=True), index, 0, number))
        if guard or line.code or not line.text or index in skip:
            continue
        introduces = line.text.endswith(":") and len(line.text.split()) > 8
        if line.heading or (line.text.endswith(":") and not introduces):
            concluding = bool(parts.CONCLUDING_HEAD.match(line.text))
            beside = bool(parts.SIDE_HEAD.match(line.text))
            advising = bool(parts.REMEDY_HEAD.search(line.text)) and not concluding
            rewritten = rewritten and not concluding
            if advising or not (line.text.endswith((".", "!")) or _SENTENCE_LIKE.search(line.text)):
                continue
        label = _LABEL.match(line.text)
        heads = bool(label and parts.CONCLUDING_HEAD.match(label.group(1)))
        advises = bool(label and parts.REMEDY_HEAD.search(label.group(1)) and not heads)
        if advising and line.listed and not advises:
            continue
        own = names.asked is None or names.asked.search(line.text)
        beside = (beside and line.listed) or (label is not None and bool(parts.SIDE_HEAD.match(line.text)))
        if beside and not own:
            continue
        previous, supposing = "", False
        for nth, sentence in enumerate(sentences(line.text)):
            number += 1
            in_vain = _SOUGHT.search(previous) and _IN_VAIN.search(sentence)
            if in_vain:
                found.append(Reading(Stated(WEIGHT, sentence[:60], cue=True, turned=True), index, nth, number))
            previous = sentence
            sought = _LOOKED.search(sentence)
            if sought:
                guard_lacks = bool(_SOUGHT.search(sought.group(1)))
                value = WEIGHT if guard_lacks else -WEIGHT
                found.append(Reading(Stated(value, sought.group()[:60], cue=True), index, nth, number))
            if in_vain or sought:
                continue
            advises = advises and not parts.AS_IS.match(sentence)
            if advises:
                continue
            if parts.REVISION.search(sentence):
                revised = number
            if parts.QUESTION.search(sentence) or ASKED.search(sentence):
                continue
            supposed, supposing = supposing, bool(parts.SUPPOSING.match(sentence))
            if supposed or supposing:
                continue
            if parts.REWRITTEN.search(sentence) and not parts.GIVEN.search(sentence):
                rewritten = True
                continue
            ends = concluding or heads or bool(parts.CONCLUSION.match(sentence) or parts.VERDICT_ALONE.match(sentence))
            if ((rewritten or advising) and not ends) or parts.REMEDY.search(sentence):
                continue
            part = bool(_PART.search(sentence))
            refers = bool(hushing.REFERS.search(sentence))
            defines = bool(hushing.DEFINITIONS.search(sentence)) and _names(sentence, names)
            defines = defines or bool(_LESSON.search(sentence))
            defining = (defines and not hushing.POINTS.search(sentence)) or (defining and not refers)
            before = said_before[1] if said_before[0] == number - 1 else 0.0
            for stated in clauses_of(sentence, names, before):
                if not stated.cue or stated.claimed:
                    said_before = (number, stated.value)
                if not stated.claimed and not (defining and (stated.cue or not (refers or ends or nth))):
                    found.append(Reading(stated, index, nth, number, ends, part))
        if introduces:
            # What follows is a list of what its last sentence names.
            advising = bool(parts.REMEDY_HEAD.search(line.text[line.text.rfind(". ") + 1 :][-80:]))
    for index, value, asked in asked_in_columns(lines, names):
        found.append(Reading(Stated(value, asked, cue=True), index, 0, number))
    return tuple(_revised(found, revised))


def _names(sentence: str, names: Names) -> bool:
    """It names a weakness near its beginning."""
    opening = sentence[:60]
    return bool((names.asked and names.asked.search(opening)) or names.others.search(opening))


def _revised(found: list[Reading], since: int | None) -> list[Reading]:
    """The same, with those marked that follow a second thought, unless nothing that decides does."""
    if since is None or not any(reading.sentence >= since for reading in found):
        return found
    return [replace(reading, revising=reading.sentence >= since) for reading in found]


def sentences(text: str) -> Iterator[str]:
    """The sentences of a line; what stands after a colon or semicolon is one of its own."""
    start = 0
    for match in parts.SENTENCE.finditer(text):
        piece = text[start : match.end()].strip()
        start = match.end()
        if piece:
            yield piece
    rest = text[start:].strip()
    if rest:
        yield rest
