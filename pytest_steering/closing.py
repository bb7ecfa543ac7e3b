"""How a run of the suite ends: the reports are written, and the exit status says what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_steering.known import stale
from pytest_steering.options import Settings, is_worker, settings_of
from pytest_steering.report import json_report, terminal
from pytest_steering.report.model import Outcome, Record
from pytest_steering.selection import SELECTION, Selection

WORKER_KEY = "steering_selection"


def start(config: pytest.Config, settings: Settings) -> None:
    """Results are gathered from now on, by the controller where there are workers."""
    config.stash[SELECTION] = Selection()
    if not is_worker(config):
        config.stash[Record.key] = Record(settings)
        config.pluginmanager.register(config.stash[Record.key], "steering-record")


def hear(config: pytest.Config, workeroutput: Mapping[str, Any]) -> None:
    """A worker is done and says what it collected."""
    if WORKER_KEY in workeroutput:
        config.stash[SELECTION].load(workeroutput[WORKER_KEY])


def finish(session: pytest.Session, exitstatus: int) -> None:
    """The reports are written, unless the run was cut short; a stale known failure fails the run.

    A run in which nothing was applicable ran nothing.
    """
    config = session.config
    if is_worker(config):
        config.workeroutput[WORKER_KEY] = config.stash[SELECTION].dump()  # type: ignore[attr-defined]
        return
    if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return
    record = config.stash[Record.key]
    outcomes = {result.outcome for result in record.results.values()}
    if exitstatus == pytest.ExitCode.OK:
        if outcomes == {Outcome.NOT_APPLICABLE} and not record.others_ran:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        if any(stale(config, record)):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
    document = json_report.as_json(record)
    for path in settings_of(config).reports:
        json_report.write(config.invocation_params.dir / path, document)


def show(config: pytest.Config, reporter: pytest.TerminalReporter) -> None:
    """The report on the terminal."""
    if not is_worker(config):
        record = config.stash[Record.key]
        terminal.show(reporter, record, stale(config, record))
