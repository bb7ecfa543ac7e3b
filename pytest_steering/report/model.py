"""What a run found: results of the suite's tests, gathered from their properties where all of them arrive."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import pytest

from pytest_steering.oracle.applicability import PREFIX
from pytest_steering.oracle.diagnosis.summary import Explanation, Failed, explanation_of
from pytest_steering.suite.catalogue import ENGINES, Asked, catalogue
from pytest_steering.targets.spec import spec_in


class Outcome(StrEnum):
    """What became of one test of a requirement."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """It could not be judged."""
    KNOWN = "known"
    """It failed, as the project says it does."""
    NOT_APPLICABLE = "not_applicable"


class Verdict(StrEnum):
    """What became of a model under an adapter."""

    CONFORMS = "conforms"
    FAILS = "fails"
    ERROR = "error"
    """There was no model, no adapter, or nothing to judge."""


@dataclass
class Result:
    """One test of a requirement."""

    nodeid: str
    id: str
    group: str
    spec: str
    adapter: str
    params: dict[str, str] = field(default_factory=dict)
    outcome: Outcome = Outcome.PASSED
    outside: bool = False
    """Somebody else than the suite had it skipped, or expected it to fail."""
    called: bool = False
    """The test itself ran, and not what comes before it alone."""
    reason: str = ""
    cause: str = ""
    """The id of the cause that the numbers of a failure point to, when they do: see ``oracle.diagnosis.causes``."""
    likely: str = ""
    """The same as a sentence with details."""
    error: str = ""
    """The sentence of a model that cannot be loaded or an adapter that cannot be built."""
    known_as: tuple[str, ...] = ()
    """The known failures that it is, as the project lists them."""
    program: str = ""
    """The shortest Python program that shows a failure, where there is one."""
    rerun: str = ""
    """The command that repeats a failure."""
    line: str = ""
    """``file:line`` of the adapter that failed, relative to where pytest was started; empty when it is not known."""
    figures: list[dict[str, Any]] = field(default_factory=list)
    """What was measured on the way: see ``oracle.figures``."""
    measured: dict[str, float] = field(default_factory=dict)
    """The figures that it was judged by, also where it passed: plain numbers, by name."""
    seconds: float = 0.0
    forward_passes: int = 0
    forward_tokens: int = 0


@dataclass
class Model:
    """What is known of one model."""

    architecture: dict[str, Any] | None = None
    load_seconds: float = 0.0
    peak_bytes: int = 0
    device: str = ""
    notes: list[str] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    declared: dict[str, list[str]] = field(default_factory=dict)
    """What each adapter promises beyond the core."""
    overhead: dict[str, dict[str, Any]] = field(default_factory=dict)
    precision: dict[str, dict[str, float]] = field(default_factory=dict)
    """By engine, in nats: how far it is off unsteered, and how far the least bug that must show moves what it says."""
    space: dict[str, dict[str, int]] = field(default_factory=dict)
    """By adapter: how much of the space of uses was judged."""
    effects: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By adapter and weakness, of trained models: see ``pytest_steering.suite.trained``."""


@dataclass(frozen=True)
class Row:
    """A model under an adapter, with the results that speak of it."""

    spec: str
    adapter: str
    title: str
    model: Model
    results: tuple[Result, ...]
    asked: Asked = field(default_factory=Asked)
    """What the run asked."""

    def having(self, *outcomes: Outcome) -> list[Result]:
        """The results with one of these outcomes."""
        return [result for result in self.results if result.outcome in outcomes]

    def ids(self, *outcomes: Outcome) -> list[str]:
        """The requirements with a test of one of these outcomes."""
        return list(dict.fromkeys(result.id for result in self.having(*outcomes)))

    @property
    def not_applicable(self) -> list[str]:
        """The requirements none of whose tests was applicable."""
        others = {result.id for result in self.results if result.outcome is not Outcome.NOT_APPLICABLE}
        return [name for name in self.ids(Outcome.NOT_APPLICABLE) if name not in others]

    @property
    def error(self) -> str:
        """Why nothing can be said of the model under this adapter; empty when something can."""
        errors = (result.error for result in self.results if result.error)
        if len(self.having(Outcome.NOT_APPLICABLE)) == len(self.results):
            return "no requirement was applicable"
        return next(errors, "")

    @property
    def explanation(self) -> Explanation:
        """The cause that explains the failures best; empty when nothing failed, or nothing can be said."""
        if self.error:
            return Explanation()
        failed = self.having(Outcome.FAILED, Outcome.ERROR)
        return explanation_of([Failed(each.id, each.cause, each.likely, each.reason) for each in failed])

    @property
    def verdict(self) -> Verdict:
        """Conforms when nothing failed."""
        if self.error:
            return Verdict.ERROR
        return Verdict.FAILS if self.having(Outcome.FAILED, Outcome.ERROR) else Verdict.CONFORMS


class Record:
    """The results of this run, as they come in."""

    def __init__(
        self, specs: Sequence[str], adapters: Sequence[str], asked: Asked | None = None, engines: Sequence[str] = ()
    ) -> None:
        """``specs``, ``adapters`` and ``engines`` are those of the run, in the order in which they were named."""
        self.asked = asked or Asked()
        self.specs = specs
        self.adapters = adapters
        self.engines = engines
        self.results: dict[str, Result] = {}
        self.models: dict[str, Model] = {}
        self.others_ran = False
        """Whether any test beside the suite's was more than skipped."""

    def add(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        said: dict[str, str] = {str(name): str(value) for name, value in report.user_properties}
        result = self.results.get(report.nodeid) or self._begin(report, said)
        if result is None:
            self.others_ran |= report.when == "call" and not report.skipped
            return
        self.results[report.nodeid] = result
        result.seconds += report.duration
        result.called |= report.when == "call"
        result.error = said.get("steering_error", result.error)
        if report.when != "teardown":
            result.forward_passes = int(said.get("steering_forward_passes", 0))
            result.forward_tokens = int(said.get("steering_forward_tokens", 0))
            result.figures = json.loads(said.get("steering_figures", "[]"))
            self._learn(result, report)
            result.measured = json.loads(said.get("steering_measured", "{}"))
        outcome = _outcome(report, result)
        if result.outcome is Outcome.PASSED and outcome is not Outcome.PASSED:
            result.outcome = outcome
            result.outside = _outside(report, said)
            result.reason = _reason(report, said)
            result.cause = said.get("steering_cause", "")
            result.likely = said.get("steering_likely", "")
            result.program = said.get("steering_program", "")
            result.rerun = said.get("steering_rerun", "")
            result.line = said.get("steering_line", "")
            result.known_as = tuple(json.loads(said.get("steering_known_as", "[]")))

    @property
    def judged(self) -> list[Result]:
        """The results that say something: a test that was set up and never called has not passed."""
        return [result for result in self.results.values() if result.called or result.outcome is not Outcome.PASSED]

    def rows(self) -> list[Row]:
        """One row per model and adapter, in the order in which they were named; a test on no adapter counts for each.

        Workers finish in any order: the report does not depend on it.
        """
        by_spec: dict[str, list[Result]] = {}
        for result in self.judged:
            by_spec.setdefault(result.spec, []).append(result)
        rows = []
        for spec in _ordered(by_spec, self.specs):
            of_engines = [result for result in by_spec[spec] if result.group == ENGINES]
            others = [result for result in by_spec[spec] if result.group != ENGINES]
            ran = {result.adapter for result in others if result.adapter} or (self.adapters if others else ())
            rows += [self._row(spec, adapter, others) for adapter in _ordered(ran, self.adapters)]
            ran = {result.adapter for result in of_engines if result.adapter} or (self.engines if of_engines else ())
            rows += [self._row(spec, engine, of_engines, engine=True) for engine in _ordered(ran, self.engines)]
        return rows

    def _row(self, spec: str, adapter: str, results: Iterable[Result], *, engine: bool = False) -> Row:
        model = self.models.get(spec, Model())
        own = tuple(result for result in results if result.adapter in ("", adapter))
        asked = replace(self.asked, engines=engine)
        title = model.titles.get(adapter, adapter)
        if list(model.titles.values()).count(title) > 1:
            title += f" ({adapter})"  # two adapters with one name
        return Row(spec, adapter, title, model, own, asked)

    def _begin(self, report: pytest.TestReport, said: dict[str, str]) -> Result | None:
        if "steering_requirement" in said:
            return Result(
                nodeid=report.nodeid,
                id=said["steering_requirement"],
                group=said["steering_group"],
                spec=said["steering_spec"],
                adapter=said["steering_adapter"],
                params=json.loads(said["steering_params"]),
            )
        # The report of a worker that crashed says nothing but the test's id.
        function = report.nodeid.partition("[")[0]
        listed = next((entry for entry in catalogue().values() if entry.nodeid == function), None)
        if listed is None or not report.failed:
            return None
        spec = spec_in(report.nodeid, self.specs)
        return Result(report.nodeid, listed.id, listed.group, spec, "")

    def _learn(self, result: Result, report: pytest.TestReport) -> None:
        model = self.models.setdefault(result.spec, Model())
        for name, value in report.user_properties:
            text = str(value)
            match name:
                case "steering_adapter_title" if text:
                    model.titles[result.adapter] = text
                case "steering_declared":
                    model.declared[result.adapter] = json.loads(text)
                case "steering_architecture":
                    model.architecture = json.loads(text)
                case "steering_load_seconds":
                    model.load_seconds = float(text)
                case "steering_peak_bytes":
                    model.peak_bytes = max(model.peak_bytes, int(text))
                case "steering_device":
                    model.device = text
                case "steering_note" if text not in model.notes:
                    model.notes.append(text)
                case "steering_overhead" if report.when == "call":
                    model.overhead.setdefault(result.adapter, {}).update(json.loads(text))
                case "steering_precision" if report.when == "call":
                    model.precision[result.adapter] = json.loads(text)
                case "steering_space" if report.when == "call":
                    model.space[result.adapter] = json.loads(text)
                case "steering_effects" if report.when == "call":
                    model.effects[result.adapter] = json.loads(text)


def _ordered(found: Collection[str], named: Sequence[str]) -> list[str]:
    return [name for name in named if name in found] + sorted(name for name in found if name not in named)


def _outcome(report: pytest.TestReport, result: Result) -> Outcome:
    if report.passed:
        return Outcome.PASSED
    if report.skipped and not result.error:
        return Outcome.KNOWN if hasattr(report, "wasxfail") else Outcome.NOT_APPLICABLE
    return Outcome.FAILED if report.when == "call" and not result.error else Outcome.ERROR


def _outside(report: pytest.TestReport, said: dict[str, str]) -> bool:
    if hasattr(report, "wasxfail"):
        return "steering_known" not in said
    return report.skipped and "steering_error" not in said and not _skipped(report).startswith(PREFIX)


def _skipped(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def _reason(report: pytest.TestReport, said: dict[str, str]) -> str:
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail)
    if report.skipped and "steering_error" not in said:
        return _skipped(report).removeprefix(PREFIX)
    return said.get("steering_reason") or str(report.longrepr).partition("\n")[0]
