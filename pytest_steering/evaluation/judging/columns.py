"""Tables whose column asks, "Can wrap?" or "Checked?", and whose rows answer; and lines that name a missing guard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_steering.evaluation.judging.cues import WEIGHT, described
from pytest_steering.evaluation.judging.names import Names
from pytest_steering.evaluation.judging.normalise import Line

_YES = re.compile(r"\W*(?:yes|✅|✓|✔|true)\b|^\s*[✅✓✔]")
_NO = re.compile(r"\W*(?:no|none|never|false)\b|^\s*[❌✗✘×]")
_GUARD = re.compile(
    r"^\W*(?:[\w -]{0,30}\b)?(?:check(?:s|ed)?|encod(?:er|ing|ed)|escap(?:er|ing|ed)|saniti[sz](?:er|ing|ed|ation)"
    r"|validat(?:ion|ed|or)|limit|guard|filter|binding|parameteri[sz](?:ation|ed)|null[- ]?test|bound|quot(?:ing|ed)"
    r"|normali[sz]ation|canonicali[sz]ation)\b(?: [\w ]{0,25})?\s*[:=]+\s*(?P<value>.{1,40})"
)
_GUARDED = re.compile(
    r"\W*(?:is |are )?(?:it )?(?:check|bound|test|validat|escap|encod|saniti|guard|limit|verif|quot|handl"
    r"|parameteri)\w*\W*$"
)
_MISSING = re.compile(r"\W*(?:none|no|missing|absent|never|not (?:present|done|applied|there|found)|nowhere|0)\b")


def asked_in_columns(lines: Sequence[Line], names: Names) -> Iterator[tuple[int, float, str]]:
    """The line, the weight and the words of each column that asks; one answer that accuses is enough."""
    head: list[str] | None = None
    answers: dict[int, list[str]] = {}
    last = 0
    for index, line in enumerate([*lines, Line("")]):
        if line.table and line.text:
            cells = [cell.strip() for cell in line.text.strip("| ").split("|")]
            if head is None:
                head, answers = cells, {}
            else:
                for place, cell in enumerate(cells):
                    answers.setdefault(place, []).append(cell)
            last = index
        elif head is not None:
            yield from _answered(head, answers, last, names)
            head = None


def _answered(
    head: list[str], answers: dict[int, list[str]], last: int, names: Names
) -> Iterator[tuple[int, float, str]]:
    for place, asked in enumerate(head):
        if not asked.endswith("?"):
            continue
        guarded = bool(_GUARDED.match(asked))
        if not guarded and any(_GUARDED.match(other) for other in head):
            continue
        topic = (-WEIGHT, asked) if guarded else described(asked.rstrip("? "), names.number)
        yes = sum(bool(_YES.match(cell)) for cell in answers.get(place, ()))
        no = sum(bool(_NO.match(cell)) for cell in answers.get(place, ()))
        if topic is None or not yes + no:
            continue
        accuses = yes > 0 if topic[0] > 0 else no > 0
        yield last, WEIGHT if accuses else -WEIGHT, asked


def guard_named(text: str) -> tuple[float, str] | None:
    """The weight and the words of a line such as "Encoder on the path: none"."""
    match = _GUARD.match(text)
    if match is None or not _MISSING.match(match.group("value")):
        return None
    return WEIGHT, text[:60]
