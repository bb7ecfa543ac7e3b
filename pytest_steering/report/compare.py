"""What is worse, better or missing, beside a baseline: of two runs, by subject and requirement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_steering.report.baseline import Baseline, Judged, Standing, Subject, few
from pytest_steering.report.model import Outcome


class Kind(StrEnum):
    """What a change is to somebody who has the baseline."""

    WORSE = "worse"
    MISSING = "missing"
    """Nothing can be said: one of the two does not know it."""
    BETTER = "better"


_RANK = {
    Outcome.PASSED: 0,
    Outcome.NOT_APPLICABLE: 1,
    Outcome.KNOWN: 2,
    Outcome.FAILED: 3,
    Outcome.ERROR: 3,
}
"""What was judged and passed may become neither: not promised any more, or excused."""

_WAS = {
    Outcome.PASSED: "passed",
    Outcome.NOT_APPLICABLE: "was not applicable",
    Outcome.KNOWN: "was a known failure",
    Outcome.FAILED: "failed",
    Outcome.ERROR: "could not be judged",
}
_IS = {
    Outcome.PASSED: "passes now",
    Outcome.NOT_APPLICABLE: "is not applicable now",
    Outcome.KNOWN: "is a known failure now",
    Outcome.FAILED: "fails now",
    Outcome.ERROR: "cannot be judged now",
}


@dataclass(frozen=True)
class Change:
    """One difference: of a requirement, or of a subject as a whole, where ``requirement`` is empty."""

    kind: Kind
    subject: Subject
    requirement: str
    says: str

    def as_json(self) -> dict[str, str]:
        """The change as the JSON report has it."""
        subject = self.subject
        place = {"model": subject.model, "adapter": subject.adapter, "device": subject.device, "dtype": subject.dtype}
        return {"kind": self.kind.value, **place, "requirement": self.requirement, "says": self.says}


def compare(base: Baseline, head: Baseline) -> list[Change]:
    """Every change from ``base`` to ``head``, which asked the same: worse ones first, then what is missing."""
    changes = list(_changes(base, head))
    return [change for kind in Kind for change in changes if change.kind is kind]


def failing(changes: list[Change]) -> bool:
    """Whether anything is worse or missing."""
    return any(change.kind is not Kind.BETTER for change in changes)


def lines(changes: list[Change]) -> Iterator[str]:
    """The changes in words, with requirements of which the same is said on one line."""
    for (kind, subject, says), names in _grouped(changes).items():
        counted = f"{few(names)} ({len(names)} requirements)" if len(names) > 8 else few(names)
        yield f"{kind}: {subject}: {counted}: {says}" if counted else f"{kind}: {subject}: {says}"


def tally(changes: list[Change]) -> str:
    """How many are worse, missing and better, in a few words."""
    return ", ".join(f"{sum(change.kind is kind for change in changes)} {kind}" for kind in Kind)


def markdown(changes: list[Change], title: str) -> str:
    """The changes as a Markdown table, for a comment or a job summary."""
    rows = [f"**{_cell(title)}**: {tally(changes)}"]
    grouped = _grouped(changes)
    if grouped:
        rows += ["", "| | model and adapter | requirements | what changed |", "|---|---|---|---|"]
    for (kind, subject, says), names in grouped.items():
        ids = ", ".join(f"`{_cell(name)}`" for name in names)
        rows.append(f"| **{kind}** | {_cell(str(subject))} | {ids} | {_cell(says)} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    for character in "\\`*_|<>[]":
        text = text.replace(character, f"&#{ord(character)};")
    return " ".join(text.split())


def _grouped(changes: list[Change]) -> dict[tuple[Kind, Subject, str], list[str]]:
    grouped: dict[tuple[Kind, Subject, str], list[str]] = {}
    for change in changes:
        names = grouped.setdefault((change.kind, change.subject, change.says), [])
        if change.requirement:
            names.append(change.requirement)
    return grouped


def _changes(base: Baseline, head: Baseline) -> Iterator[Change]:
    ran = {(subject.model, subject.adapter) for subject in head.subjects}
    for subject in sorted(base.subjects):
        if (subject.model, subject.adapter) not in ran:
            yield Change(Kind.MISSING, subject, "", "did not run")
    for subject, judged in head.subjects.items():
        if judged.error:
            yield Change(Kind.WORSE, subject, "", f"cannot be judged now: {judged.error}")
        elif subject in base.subjects:
            yield from _of_subject(subject, base.subjects[subject], judged)
        else:
            yield Change(Kind.MISSING, subject, "", _unknown(subject, base))


def _unknown(subject: Subject, base: Baseline) -> str:
    places = [
        f"{each.device} {each.dtype}"
        for each in base.subjects
        if (each.model, each.adapter) == (subject.model, subject.adapter)
    ]
    return "the baseline does not know it" + (f" there, but on {' and on '.join(places)}" if places else "")


def _of_subject(subject: Subject, base: Judged, head: Judged) -> Iterator[Change]:
    for name in sorted(base.requirements.keys() - head.requirements.keys()):
        yield Change(Kind.MISSING, subject, name, "did not run")
    for name, now in head.requirements.items():
        before = base.requirements.get(name)
        if before is None:
            yield Change(Kind.MISSING, subject, name, "the baseline does not know it")
            continue
        for kind, says in (*_outcomes(before, now), *_counts(before, now)):
            yield Change(kind, subject, name, says)
    for kind, says in _ratios(base.ratios, head.ratios):
        yield Change(kind, subject, "", says)


def _outcomes(before: Standing, now: Standing) -> Iterator[tuple[Kind, str]]:
    if now.count < before.count:
        yield Kind.MISSING, f"{now.count} of {before.count} tests ran"
    found: dict[tuple[Kind, str], list[str]] = {}
    names = {*before.named, *now.named}
    pairs = {name: (before.outcome_of(name), now.outcome_of(name)) for name in sorted(names)}
    if min(before.count, now.count) > len(names):
        pairs[""] = before.rest, now.rest
    for name, (was, is_) in pairs.items():
        if _RANK[was] != _RANK[is_]:
            kind = Kind.WORSE if _RANK[is_] > _RANK[was] else Kind.BETTER
            found.setdefault((kind, f"{_WAS[was]}, {_IS[is_]}"), []).append(name)
    for (kind, says), tests in found.items():
        whole = "" in tests or len(tests) == now.count
        yield kind, says if whole else f"{says} ({few((f'[{test}]' for test in tests), 4)})"


def _counts(before: Standing, now: Standing) -> Iterator[tuple[Kind, str]]:
    """Counts are compared where both passed: one that fails need not have measured any."""
    for name, count in before.measured.items():
        if name in now.measured:
            if now.measured[name] != count:
                kind = Kind.WORSE if now.measured[name] > count else Kind.BETTER
                yield kind, f"{name}: {count} before, {now.measured[name]} now"
        elif now.passed:
            yield Kind.MISSING, f"{name} was not measured"
    for name in sorted(now.measured.keys() - before.measured.keys()):
        if before.passed:
            yield Kind.MISSING, f"{name} is measured, and the baseline does not know it"


def _ratios(
    before: Mapping[str, Mapping[str, float]], now: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[Kind, str]]:
    for name in sorted({*before, *now}):
        if name not in now or name not in before:
            yield Kind.MISSING, f"the ratio of {name} " + ("was not measured" if name in before else "is new")
        elif now[name]["low"] > before[name]["high"]:
            yield (
                Kind.WORSE,
                f"{name} takes {_interval(now[name])} of the unsteered time, {_interval(before[name])} before",
            )
        elif now[name]["high"] < before[name]["low"]:
            yield (
                Kind.BETTER,
                f"{name} takes {_interval(now[name])} of the unsteered time, {_interval(before[name])} before",
            )


def _interval(ratio: Mapping[str, Any]) -> str:
    return f"{ratio['ratio']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
