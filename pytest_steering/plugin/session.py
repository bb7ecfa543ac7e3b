"""How a run on a model ends: the reports are written, and the exit status says what they say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_steering.errors import printable
from pytest_steering.plugin.baselines import GATE
from pytest_steering.plugin.benchmarks import uncompared
from pytest_steering.plugin.collection import Selection
from pytest_steering.plugin.known_failures import stale
from pytest_steering.plugin.options import Settings, is_worker
from pytest_steering.report import github, json_report, terminal
from pytest_steering.report.badge import badge, unfinished
from pytest_steering.report.files import is_badge, write_report
from pytest_steering.report.gaps import gaps
from pytest_steering.report.model import Outcome, Record

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

WORKER_KEY = "steering_selection"


class Closing:
    """The hooks that follow a run on a model to its end; without a model, pytest never meets them.

    Results are gathered by the controller where there are workers, and the selection of tests by the workers.
    """

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.selection = Selection()
        self.gate = config.stash.get(GATE, None)
        self.amiss: list[str] = []
        """Why a run fails in which no requirement does."""
        self.record = Record(
            [spec.text for spec in settings.specs],
            settings.adapters if settings.judges_adapters else (),
            settings.asked,
            settings.engines,
        )

    def pytest_sessionstart(self) -> None:
        """A badge of an earlier run says nothing of this one: until it is over, there is none."""
        self._write_badges(unfinished())

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Some tests do not run."""
        self.selection.drop(items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """The tests are known, except to a controller."""
        if session.items:
            self.selection.take(session.items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended, here or on a worker."""
        if not is_worker(self.config):
            self.record.add(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController) -> None:
        """A worker is done and says what it selected: the same as every other."""
        dump = getattr(node, "workeroutput", {}).get(WORKER_KEY)
        if dump is not None:
            self.selection.load(dump)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """The reports are written, unless the run was cut short."""
        if is_worker(self.config):
            self.config.workeroutput[WORKER_KEY] = self.selection.dump()  # type: ignore[attr-defined]
            return
        if exitstatus == pytest.ExitCode.INTERRUPTED and self._stopped_by_failures(session):
            exitstatus = session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            if self.record.judged:
                self.cut_short()
            return
        if exitstatus == pytest.ExitCode.OK:
            session.exitstatus = self._exitstatus()
        if self.settings.strict:
            self.amiss += [gap for row in self.record.rows() for gap in gaps(row)] or self._nothing()
        if self.settings.reports and not self.record.judged:
            self.amiss.append("--steering-report tells of nothing: no requirement was judged in this run")
        self.amiss += uncompared(self.config)
        document = json_report.as_json(self.record)
        if self.gate is not None:
            passes = session.exitstatus == pytest.ExitCode.OK and not self.amiss
            self.amiss += self.gate.judge(document, self.selection, passes=passes)
            document["baseline"] = self.gate.as_json()
        self._write_reports(document)
        if self.amiss:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._write_badges(badge(self.record, succeeded=session.exitstatus == pytest.ExitCode.OK))
        if self.amiss:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def cut_short(self) -> None:
        """The run ends before its time: the reports say what was judged until now, and that it is not all."""
        if not is_worker(self.config):
            self._write_reports(json_report.as_json(self.record, complete=False))

    def _write_reports(self, document: dict[str, Any]) -> None:
        for path in self.settings.reports:
            if not is_badge(path):
                self._write(path, document, write_report)

    def _write_badges(self, document: dict[str, Any]) -> None:
        for path in self.settings.reports:
            if is_badge(path) and not is_worker(self.config):
                self._write(path, document, json_report.write)

    def _write(self, path: str, document: dict[str, Any], write: Callable[[Path, dict[str, Any]], None]) -> None:
        try:
            write(self.config.invocation_params.dir / path, document)
        except OSError as error:
            said = f"--steering-report={path} cannot be written: {error.strerror}"
            self.amiss += [said] * (said not in self.amiss)

    def _stopped_by_failures(self, session: pytest.Session) -> bool:
        """Whether -x or --maxfail ended it: pytest-xdist says the same of that as of Ctrl-C, pytest does not."""
        most = self.config.getvalue("maxfail")
        return bool(most) and session.testsfailed >= most and isinstance(session.shouldstop or session.shouldfail, str)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
        """The report on the terminal: last, and also where another plugin ends the summary with an error."""
        try:
            yield
        finally:
            if not is_worker(self.config):
                self._show(terminalreporter)

    def _show(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminal.show(terminalreporter, self.record, self._stale())
        if self.gate is not None:
            self.gate.show(terminalreporter)
        if self.settings.typed and (elsewhere := self.selection.elsewhere):
            terminalreporter.write_line(
                f"steering: {elsewhere.total()} tests ran on {', '.join(elsewhere)}, which their markers name, "
                f"and not on {', '.join(map(str, self.settings.named))} of the command line",
                yellow=True,
            )
        for sentence in self.amiss:
            terminalreporter.write_line(printable(sentence), red=True)
        if github.is_here() and self.record.judged:
            self._tell_github(terminalreporter)

    def _tell_github(self, terminal: pytest.TerminalReporter) -> None:
        for command in github.annotated(self.record, self.config.invocation_params.dir):
            terminal.write_line(command)
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        try:
            if path:
                with open(path, "a", encoding="utf-8") as file:
                    file.write(github.summary(self.record, self.amiss))
        except OSError as error:
            terminal.write_line(f"the job summary cannot be written to {path}: {error.strerror}", red=True)

    def _nothing(self) -> list[str]:
        return [] if self.record.judged else ["--steering-strict: no requirement was judged in this run"]

    def _exitstatus(self) -> pytest.ExitCode:
        """That of a run in which nothing failed; one in which nothing was called or applicable ran nothing."""
        outcomes = {result.outcome for result in self.record.judged}
        if self._stale() or not outcomes.isdisjoint({Outcome.FAILED, Outcome.ERROR}):
            # The second where a plugin has failed tests run again until they pass.
            return pytest.ExitCode.TESTS_FAILED
        if self.record.results and outcomes <= {Outcome.NOT_APPLICABLE} and not self.record.others_ran:
            return pytest.ExitCode.NO_TESTS_COLLECTED
        return pytest.ExitCode.OK

    def _stale(self) -> list[str]:
        return stale(self.config, self.record, self.selection)
