"""What becomes of a test's result: its properties for every report, and a text that a person can act on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import pytest

from pytest_steering.engines.capability import EngineCapability
from pytest_steering.errors import (
    AdapterError,
    ArchitectureError,
    EngineError,
    SteeringError,
    Unseen,
    Violation,
    text_of,
)
from pytest_steering.oracle.applicability import NotApplicable
from pytest_steering.oracle.diagnosis.causes import OF_STATE, Cause, Diagnosis
from pytest_steering.plugin.bundles import bundled
from pytest_steering.plugin.collection import is_suite_item
from pytest_steering.plugin.failures import cause, error_text, one_line, program_of, rerun, violation_text
from pytest_steering.plugin.fixtures import ADAPTER, ENGINE, FAILURES, MODEL, parameters, placed
from pytest_steering.plugin.frames import frames_text
from pytest_steering.plugin.items import Pairing, pairing_of, requirement_of
from pytest_steering.plugin.known_failures import KnownFailure, known_failures
from pytest_steering.plugin.location import located
from pytest_steering.plugin.metering import ForwardPasses, peak_bytes
from pytest_steering.plugin.options import settings_of
from pytest_steering.plugin.repeating import ALONE, Repeats, has_run, repeats
from pytest_steering.report.text import legible
from pytest_steering.steering.capability import Capability
from pytest_steering.suite.catalogue import Requirement

if TYPE_CHECKING:
    from pytest_steering.targets.target import Target

SEEN = pytest.StashKey[dict[tuple[str, ...], str]]()
"""The first test that met each cause."""
NOTED = pytest.StashKey[dict[str, set[str]]]()
"""What has been said of each model."""
BEFORE = pytest.StashKey[tuple[int, int]]()


def shown_parameters(item: pytest.Item) -> dict[str, str]:
    """What a test is parametrised with beside the model and the adapter."""
    return {name: str(value) for name, value in parameters(item).items() if name not in (MODEL, ADAPTER, ENGINE)}


def begin(item: pytest.Item) -> None:
    """What the test costs is counted from here."""
    item.stash[BEFORE] = _meter(item)


def _meter(item: pytest.Item) -> tuple[int, int]:
    """The forward passes and tokens of this run until now."""
    meter = ForwardPasses.of(item.config)
    return meter.passes, meter.tokens


def note_properties(item: pytest.Item, when: str) -> None:
    """The test's ``user_properties`` say what it is about and what it cost, before its report copies them."""
    if when == "teardown" or not is_suite_item(item):
        return
    add = item.user_properties.append
    pairing = pairing_of(item)
    if when == "setup":
        requirement = requirement_of(item)
        add(("steering_requirement", requirement.id))
        add(("steering_group", requirement.group))
        add(("steering_spec", pairing.spec))
        add(("steering_adapter", pairing.adapter))
        add(("steering_params", json.dumps(shown_parameters(item), ensure_ascii=False)))
    if when == "call":
        add(("steering_adapter_title", pairing.title))
        (passes, tokens), before = _meter(item), item.stash[BEFORE]
        add(("steering_forward_passes", str(passes - before[0])))
        add(("steering_forward_tokens", str(tokens - before[1])))
        add(("steering_peak_bytes", str(peak_bytes())))
        _note_figures(item)
    target = (getattr(item, "funcargs", None) or {}).get(MODEL)
    if target is not None:
        _note_model(item, target)
    adapter = (getattr(item, "funcargs", None) or {}).get(ENGINE if pairing.engine else ADAPTER)
    noted = item.config.stash.setdefault(NOTED, {}).setdefault(f"{pairing.spec} {pairing.adapter}", set())
    if adapter is not None and not noted:
        noted.add("declared")
        promises = EngineCapability if pairing.engine else Capability
        add(("steering_declared", json.dumps([str(each) for each in promises if each in adapter.capabilities])))


_ENDING = (pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception, SkipTest, SystemExit)


@contextmanager
def deciding_nothing() -> Iterator[None]:
    """Judged code does not skip a requirement, expect it to fail or end the run: that is a violation."""
    try:
        yield
    except NotApplicable:
        raise
    except _ENDING as error:
        raise Violation(
            f"the judged code ends the test by raising {one_line(f'{type(error).__name__}: {text_of(error)}')}"
        ) from error


@contextmanager
def without_traceback(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """No traceback is made of an error that gets a text of its own: to read the sources of it takes a quarter of a
    second, for each test on a model that cannot be loaded."""
    option, error = item.config.option, _innermost(call.excinfo.value) if call.excinfo is not None else None
    style = getattr(option, "tbstyle", "auto")  # no option of pytest's without its terminal
    if not _in_full(option) and (is_suite_item(item) or isinstance(error, SteeringError)):
        option.tbstyle = "no"
    try:
        yield
    finally:
        option.tbstyle = style


def clean(report: pytest.TestReport) -> None:
    """What a test says of code that is judged can be printed, written and sent by a worker."""
    report.user_properties = [(name, legible(str(value))) for name, value in report.user_properties]


def judge(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """A failure gets its text, its reason for the reports, and the outcome ``known`` where it is known."""
    try:
        _judge(item, call, report)
    finally:
        if call.when == "call" and is_suite_item(item):
            has_run(item, pairing_of(item), call.duration)


def _judge(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    error = _innermost(call.excinfo.value) if call.excinfo is not None else None
    if error is None or not report.failed or not isinstance(error, Exception | pytest.fail.Exception):
        return
    pairing = pairing_of(item)
    suite = is_suite_item(item)
    again = ALONE
    if isinstance(error, SteeringError):
        adapter = pairing.adapter if isinstance(error, AdapterError | EngineError) else ""
        sentence = one_line(str(error))
        text, reason = sentence if pairing.spec in sentence else f"{pairing.spec}: {sentence}", sentence
        first = _first(item, (type(error).__name__, pairing.spec, adapter, sentence))
        _add(item, report, "steering_error", sentence)
    elif suite:
        again = repeats(item, pairing, error, call.duration)
        text, reason, first = _judged(item, pairing, requirement_of(item), error, again)
    else:
        return
    if suite:
        program = program_of(item, pairing, error) if isinstance(error, Violation) else ""
        likely = error.likely if isinstance(error, Violation) else None
        said = {
            "reason": reason,
            "cause": likely.cause.value if likely is not None else "",
            "likely": str(likely or ""),
            "program": program,
            "rerun": rerun(item, pairing, again),
            "line": located(item, error),
        }
        if bundle := bundled(item, pairing, requirement_of(item), error, said):
            text += f"\n{bundle}"
    if first and (isinstance(error, ArchitectureError) or item.config.stash[FAILURES].holds(error)):
        _leave_out(report, first)
    elif not _in_full(item.config.option):
        seen = f"{requirement_of(item).id}: see {first}" if suite else f"see {first}"
        frames = "" if first else frames_text(item.config, error)
        report.longrepr = legible(seen if first else "\n".join(filter(None, [text, frames])))
    if suite:
        for name, value in said.items():
            if value:
                _add(item, report, f"steering_{name}", value)
        known = _known(item, pairing, error)
        if known:
            _add(item, report, "steering_known", known[0].reason)
            _add(item, report, "steering_known_as", json.dumps(list(map(str, known)), ensure_ascii=False))
            report.outcome = "skipped"
            report.wasxfail = known[0].reason


def _leave_out(report: pytest.TestReport, first: str) -> None:
    """The test says where it is told why there is no model or adapter for it: the run has failed with that one."""
    report.outcome = "skipped"
    report.longrepr = (first.partition("::")[0], 1, f"Skipped: see {first}")


def _judged(
    item: pytest.Item, pairing: Pairing, requirement: Requirement, error: BaseException, again: Repeats
) -> tuple[str, str, str]:
    if not isinstance(error, Violation):
        return error_text(item, pairing, requirement, error, again), cause(item.config, error), ""
    if not again.alone and (error.likely is None or error.likely.cause not in OF_STATE):
        error.likely = Diagnosis(Cause.RUN_STATE, "alone this passes")
    if isinstance(error, Unseen) and error.likely is None:
        error.likely = Diagnosis(Cause.UNSEEN)
    reason = f"{error.where}: {one_line(error.detail)}" if error.where else one_line(error.detail)
    if error.likely is not None:
        reason += f"; likely: {error.likely}"
    first = ""
    if error.likely is not None and error.likely.cause is Cause.NEVER:
        first = _first(item, (Cause.NEVER, pairing.spec, pairing.adapter))
    return violation_text(item, pairing, requirement, error, again), reason, first


def _known(item: pytest.Item, pairing: Pairing, error: BaseException) -> list[KnownFailure]:
    """The known failures that this is; a model or an adapter that is not there is never known."""
    if isinstance(error, SteeringError):
        return []
    test = (requirement_of(item).id, pairing.spec, pairing.adapter, shown_parameters(item))
    return [each for each in known_failures(item.config) if each.covers(*test) and each.explains(error)]


def _first(item: pytest.Item, key: tuple[str, ...]) -> str:
    """The earlier test that met this cause; empty when this is the first."""
    first = item.config.stash.setdefault(SEEN, {}).setdefault(key, item.nodeid)
    return "" if first == item.nodeid else first


def _in_full(option: argparse.Namespace) -> bool:
    """Whether tracebacks were asked for."""
    return bool(getattr(option, "fulltrace", False))


def _add(item: pytest.Item, report: pytest.TestReport, name: str, value: str) -> None:
    item.user_properties.append((name, value))
    report.user_properties.append((name, value))


def _innermost(error: BaseException) -> BaseException:
    """The one error that a group of errors is about: a violation if there is any."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [_innermost(inner) for inner in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, Violation)), leaves[0])


def _note_model(item: pytest.Item, target: Target) -> None:
    noted = item.config.stash.setdefault(NOTED, {}).setdefault(target.spec, set())

    def once(name: str, value: str) -> None:
        if f"{name} {value}" not in noted:
            noted.add(f"{name} {value}")
            item.user_properties.append((name, value))

    if not noted:
        once("steering_load_seconds", f"{target.load_seconds:.3f}")
        once("steering_device", placed(target))
    architecture: Any = vars(target).get("architecture")
    if architecture is not None and "architecture" not in noted:
        noted.add("architecture")
        once("steering_architecture", json.dumps(architecture.as_json(), ensure_ascii=False))
    for sentence in target.notes:
        once("steering_note", one_line(sentence))


def _note_figures(item: pytest.Item) -> None:
    """What the requirement measured on its way, where a report will show it."""
    harness = (getattr(item, "funcargs", None) or {}).get("harness")
    figures = harness.figures.take() if harness is not None else []
    if figures and settings_of(item.config).reports:
        item.user_properties.append(("steering_figures", json.dumps(figures)))
