"""What became of every requirement, by model, adapter, device and dtype: what two runs are compared by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_steering.errors import SpecError
from pytest_steering.report import json_report
from pytest_steering.report.model import Outcome
from pytest_steering.report.reading import OUTCOMES, Unfit, is_number, numbers, rows, table, words
from pytest_steering.suite.catalogue import PROFILES


@dataclass(frozen=True, order=True)
class Subject:
    """A model under an adapter, on a kind of device in a dtype; the last two are empty where no model could be loaded.

    ``adapter`` is as it was asked for, so that a new version of it is the same subject.
    """

    model: str
    adapter: str
    device: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.model} with {self.adapter}" + (f" on {self.device} {self.dtype}" if self.device else "")


@dataclass(frozen=True)
class Standing:
    """What became of one requirement: how many tests it had, and the outcome of each that differs from the rest."""

    count: int
    rest: Outcome = Outcome.PASSED
    """The outcome of every test that is not ``named``."""
    named: Mapping[str, Outcome] = field(default_factory=dict)
    """By the parameters of a test: ``place=first, scale=0.5``."""
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all of its tests did."""
        return self.rest is Outcome.PASSED and not self.named

    def outcome_of(self, test: str) -> Outcome:
        """What became of a test."""
        return self.named.get(test, self.rest)


@dataclass(frozen=True)
class Judged:
    """What is known of one subject."""

    requirements: Mapping[str, Standing]
    ratios: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Steered by unsteered time, each with its interval: ``ratio``, ``low``, ``high``."""
    error: str = ""
    """Why nothing of it could be judged."""


@dataclass(frozen=True)
class Baseline:
    """What one version of the suite, in one profile, found of some subjects."""

    suite: str
    profile: str
    subjects: Mapping[Subject, Judged]

    def __str__(self) -> str:
        """What was asked, as a verdict has it."""
        return self.suite if self.profile == "full" else f"{self.suite} {self.profile}"


def of_report(document: Mapping[str, Any]) -> Baseline:
    """What a JSON report says; ``Unfit`` where it says it in no way that is known."""
    if document.get("schema") != json_report.SCHEMA:
        raise Unfit(f"its schema is {document.get('schema')!r}, not {json_report.SCHEMA}")
    subjects: dict[Subject, Judged] = {}
    for model in rows(document, "models"):
        (spec, adapter), (device, dtype) = words(model, "spec", "adapter_name"), _placed(model)
        add_subject(subjects, Subject(spec, adapter, device, dtype), _judged(model))
    return Baseline(*head_of({"profile": PROFILES[0], **document}), subjects)


def updated(old: Baseline, new: Baseline, whole: Callable[[str], bool]) -> tuple[Baseline, list[str]]:
    """The old one with what a run found, and a sentence for each thing that is kept because it did not run whole.

    ``whole`` says whether all tests of a requirement ran. ``SpecError`` where something would have to be kept that
    another version of the suite, or another profile, had found.
    """
    subjects, kept = dict(old.subjects), []
    for subject in sorted(old.subjects.keys() - new.subjects.keys()):
        kept.append(f"{subject}: did not run, and is kept as it was")
    for subject, judged in new.subjects.items():
        before = old.subjects.get(subject, Judged({}))
        ran = {
            name: standing
            for name, standing in judged.requirements.items()
            if whole(name) and standing.count >= before.requirements.get(name, standing).count
        }
        left = sorted(before.requirements.keys() - ran.keys())
        if left:
            kept.append(
                f"{subject}: {len(left)} requirements did not run whole, and are kept as they were: {few(left)}"
            )
        elif part := sorted(judged.requirements.keys() - ran.keys()):
            kept.append(f"{subject}: {len(part)} requirements did not run whole, and are left out: {few(part)}")
        ratios = {name: _steady(before.ratios.get(name), ratio) for name, ratio in judged.ratios.items()}
        subjects[subject] = Judged({**before.requirements, **ran}, {**before.ratios, **ratios})
    if kept and old.subjects and (old.suite, old.profile) != (new.suite, new.profile):
        raise SpecError(
            f"it is of suite {old} and this run of {new}, and {kept[0].replace(', and ', ', so it cannot be ')}"
        )
    return replace(new, subjects=subjects), kept


def few(names: Iterable[str], most: int = 8) -> str:
    """The names, or the first of many."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", …" if len(listed) > most else "")


def _steady(old: Mapping[str, float] | None, new: Mapping[str, float]) -> Mapping[str, float]:
    """A ratio that may well be the same stays as it was: an update changes nothing by chance."""
    return old if old is not None and old["low"] <= new["high"] and new["low"] <= old["high"] else new


def head_of(document: Mapping[str, Any]) -> tuple[str, str]:
    """The version of the suite and the profile that a document names; ``Unfit`` otherwise."""
    suite, profile = words(document, "suite", "profile")
    if profile not in PROFILES:
        raise Unfit(f"profile is {profile!r}, none of {', '.join(PROFILES)}")
    return suite, profile


def add_subject(subjects: dict[Subject, Judged], subject: Subject, judged: Judged) -> None:
    """A subject is one of them; ``Unfit`` where it is already."""
    if subject in subjects:
        raise Unfit(f"{subject} stands in it twice")
    subjects[subject] = judged


def _placed(model: Mapping[str, Any]) -> tuple[str, str]:
    if model.get("device") == "":
        return "", ""
    device, _, dtype = words(model, "device")[0].partition(" ")
    return device.partition(":")[0], dtype


def _judged(model: Mapping[str, Any]) -> Judged:
    tests: dict[str, dict[str, Outcome]] = {}
    measured: dict[str, dict[str, dict[str, float]]] = {}
    error = ""
    for entry in rows(model, "requirements"):
        name, outcome = words(entry, "id", "outcome")
        test = ", ".join(f"{key}={value}" for key, value in sorted(table(entry, "params").items()))
        own = tests.setdefault(name, {})
        if test in own:
            raise Unfit(f"{name} ({test}) stands in it twice")
        own[test] = _outcome(outcome)
        if entry.get("measured"):
            measured.setdefault(name, {})[test] = numbers(table(entry, "measured"))
        if outcome == Outcome.ERROR:
            error = error or str(entry.get("reason"))
    requirements = {
        name: replace(_standing(own), measured=_counts(measured.get(name, {}))) for name, own in tests.items()
    }
    return Judged(requirements, _ratios(model.get("overhead")), error if model.get("device") == "" else "")


def _outcome(text: str) -> Outcome:
    if text not in OUTCOMES:
        raise Unfit(f"{text!r} is none of {', '.join(OUTCOMES)}")
    return Outcome(text)


def _standing(tests: Mapping[str, Outcome]) -> Standing:
    outcomes = set(tests.values())
    if len(outcomes) == 1:
        return Standing(len(tests), outcomes.pop())
    return Standing(
        len(tests), named={name: outcome for name, outcome in tests.items() if outcome is not Outcome.PASSED}
    )


def _counts(tests: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    return {
        f"{name} ({test})" if test else name: value
        for test, values in sorted(tests.items())
        for name, value in sorted(values.items())
    }


def _ratios(overhead: object) -> dict[str, Mapping[str, float]]:
    """The ratios that have an interval: without one, a ratio is no more than information."""
    parts = ("ratio", "low", "high")
    found: dict[str, Mapping[str, float]] = {}
    for name, cost in overhead.items() if isinstance(overhead, dict) else ():
        if isinstance(cost, dict) and all(is_number(cost.get(part)) for part in parts):
            found[name] = {part: round(cost[part], 3) for part in parts}
    return found
