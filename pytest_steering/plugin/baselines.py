"""The gate of a run: what it found is compared with baselines, or written into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_steering.errors import SpecError
from pytest_steering.plugin.collection import Selection
from pytest_steering.plugin.options import Settings
from pytest_steering.report.baseline import Baseline, Subject, few, of_report, updated
from pytest_steering.report.baseline_file import read, text_of
from pytest_steering.report.compare import Change, Kind, compare, failing, lines, tally
from pytest_steering.report.writing import write_text

OPTION = "--steering-baseline"
UPDATE = "--steering-baseline-update"


def gate_of(here: Path, settings: Settings) -> Gate | None:
    """The gate that a run asks for; ``SpecError`` for baselines that it cannot be compared with."""
    if not settings.baselines:
        if settings.update_baseline:
            raise SpecError(f"{UPDATE} has nothing to write to: name a file with {OPTION}=FILE")
        return None
    if not settings.in_use:
        raise SpecError(f"{OPTION} has nothing to compare: name a model with --steering-model=SPEC")
    now = Baseline(settings.asked.version, settings.asked.profile, {})
    files = {name: _read(here / name, name, now, update=settings.update_baseline) for name in settings.baselines}
    _check_doubles(files)
    if settings.update_baseline and len(files) > 1:
        listed = {(subject.model, subject.adapter) for baseline in files.values() for subject in baseline.subjects}
        new = [
            f"{spec} with {each}"
            for spec in settings.specs
            for each in settings.adapters
            if (spec.text, each) not in listed
        ]
        if new:
            raise SpecError(f"{UPDATE}: none of the files knows {few(new, 3)}: give one {OPTION} at a time")
    return Gate(here, files, now, update=settings.update_baseline)


def _read(path: Path, name: str, now: Baseline, *, update: bool) -> Baseline:
    said = f"{OPTION}={name}"
    if not path.exists():
        if not path.parent.is_dir():
            raise SpecError(f"{said}: there is no directory {Path(name).parent}")
        if not update:
            raise SpecError(f"{said}: there is no such file; write it with {UPDATE}")
        return now
    found = read(path, said)
    if (found.suite, found.profile) != (now.suite, now.profile) and not update:
        raise SpecError(
            f"{said} is of suite {found} and this run of {now}: ask the same with --steering-suite={found.suite} "
            f"--steering-profile={found.profile}, or write it anew with {UPDATE}"
        )
    return found


def _check_doubles(files: Mapping[str, Baseline]) -> None:
    places = Counter(subject for baseline in files.values() for subject in baseline.subjects)
    twice = [str(subject) for subject, count in places.items() if count > 1]
    if twice:
        raise SpecError(f"{OPTION}: more than one file knows {few(twice, 3)}: take it out of all but one")


class Gate:
    """The baselines of a run, and what changed since."""

    def __init__(self, here: Path, files: Mapping[str, Baseline], now: Baseline, *, update: bool) -> None:
        """``files`` are the baselines by the names under which they were typed, relative to ``here``."""
        self._here = here
        self._files = files
        self._now = now
        self._update = update
        self._changes: list[Change] = []
        self._said: list[str] = []
        self._written = False

    def judge(self, document: Mapping[str, Any], selection: Selection, *, passes: bool) -> list[str]:
        """The run is compared, or written where it ``passes``; a sentence for each reason why it fails by that."""
        head = of_report(document)
        if self._update:
            return self._write(head, selection, passes=passes)
        known: dict[Subject, Any] = {}
        for baseline in self._files.values():
            known |= baseline.subjects
        self._changes = compare(Baseline(head.suite, head.profile, known), head)
        self._said = list(lines(self._changes))
        if not failing(self._changes):
            return []
        remedy = f"; what is meant to be so is written with {UPDATE}"
        return [f"{OPTION}={', '.join(self._files)}: {tally(self._changes)}{remedy}"]

    def as_json(self) -> dict[str, Any]:
        """What the JSON report has of it."""
        changes = [change.as_json() for change in self._changes]
        return {"files": list(self._files), "updated": self._written, "changes": changes}

    def show(self, terminal: pytest.TerminalReporter) -> None:
        """What changed, on the terminal."""
        terminal.write_sep("-", "baseline")
        for line in self._said:
            terminal.write_line(line, red=line.startswith((Kind.WORSE, Kind.MISSING)))
        if not self._said:
            terminal.write_line(f"{', '.join(self._files)}: nothing changed", green=True)

    def _write(self, head: Baseline, selection: Selection, *, passes: bool) -> list[str]:
        if not passes:
            self._said = ["nothing is written: the run fails"]
            return [
                f"{UPDATE} writes nothing, because the run fails: mend it, or name what is known to fail in "
                "steering_known_failures"
            ]
        texts: dict[str, str] = {}
        try:
            for name, old in self._files.items():
                own = self._own(name, head)
                whole = {each for each in selection.collected if each not in selection.reduced}
                new, kept = updated(old, own, whole.__contains__)
                texts[name] = text_of(new)
                self._said += [f"{name}: {sentence}" for sentence in kept]
                self._changes += compare(old, new) if old.subjects else []
            for name, text in texts.items():
                self._replace(name, text)
        except (SpecError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._said = ["nothing is written"]
            return [f"{OPTION}={name} cannot be written: {reason}"]
        self._written = True
        self._said += list(lines(self._changes))
        return []

    def _own(self, name: str, head: Baseline) -> Baseline:
        """The part of a run that belongs into one of the files: what it knows, or all where it is the only one."""
        if len(self._files) == 1:
            return head
        listed = {(subject.model, subject.adapter) for subject in self._files[name].subjects}
        own = {
            subject: judged for subject, judged in head.subjects.items() if (subject.model, subject.adapter) in listed
        }
        return Baseline(head.suite, head.profile, own)

    def _replace(self, name: str, text: str) -> None:
        path = self._here / name
        now = read(path, name) if path.exists() else self._now
        if now != self._files[name]:
            raise SpecError("somebody else has written it since the run began")
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
            self._said.append(f"{name}: written")
        else:
            self._said.append(f"{name}: nothing changed")


GATE = pytest.StashKey[Gate | None]()
