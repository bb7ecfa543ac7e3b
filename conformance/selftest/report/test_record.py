"""What is kept of the phases of a test, and what the rows of a report make of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_steering._version import SUITE_VERSION
from pytest_steering.report.json_report import as_json, write
from pytest_steering.report.model import Outcome, Record, Result, Verdict
from pytest_steering.report.terminal import show
from pytest_steering.suite.catalogue import catalogue

NODEID = "conformance/test_divergence.py::test_exact_delta[tiny:a-first]"
ABOUT = {
    "steering_requirement": "exact-delta",
    "steering_group": "divergence",
    "steering_spec": "tiny:a",
    "steering_adapter": "hooks",
    "steering_params": "{}",
}


def phase(
    when: Literal["setup", "call", "teardown"] = "call",
    outcome: Literal["passed", "failed", "skipped"] = "passed",
    longrepr: Any = None,
    nodeid: str = NODEID,
    **said: object,
) -> pytest.TestReport:
    properties = [(name, str(value)) for name, value in {**ABOUT, **said}.items()]
    return pytest.TestReport(
        nodeid, ("", 0, ""), {}, outcome, longrepr, when, user_properties=properties, duration=0.3125
    )


def recorded(*phases: pytest.TestReport) -> Result:
    record = Record(["tiny:a"], ["hooks"])
    for each in phases:
        record.add(each)
    (result,) = record.results.values()
    return result


def test_the_phases_of_a_test_are_one_result() -> None:
    failed = phase("call", "failed", steering_reason="Δ", steering_cause="never-arrives", steering_forward_tokens=12)
    result = recorded(phase("setup"), failed, phase("teardown"))
    assert (result.outcome, result.reason, result.cause) == (Outcome.FAILED, "Δ", "never-arrives")
    assert (result.seconds, result.forward_tokens) == (0.9375, 12)


def test_the_first_failure_is_the_one_that_is_told() -> None:
    later = phase("teardown", "failed", "RuntimeError: later\nat its place")
    assert recorded(phase("call", "failed", "AssertionError: first"), later).reason == "AssertionError: first"
    result = recorded(phase("call"), later)
    assert (result.outcome, result.reason) == (Outcome.ERROR, "RuntimeError: later")


def test_what_passes_has_no_reason() -> None:
    result = recorded(phase("setup"), phase("call"), phase("teardown"))
    assert (result.outcome, result.reason, result.error) == (Outcome.PASSED, "", "")


def test_a_model_that_is_not_there_is_an_error_and_no_failure() -> None:
    result = recorded(phase("call", "failed", steering_error="it cannot be loaded"))
    assert (result.outcome, result.error) == (Outcome.ERROR, "it cannot be loaded")


@pytest.mark.parametrize(
    "longrepr", [("file", 1, "Skipped: not applicable: no mask"), "not applicable: no mask"], ids=["tuple", "text"]
)
def test_a_skip_is_not_applicable_with_its_bare_reason(longrepr: Any) -> None:
    result = recorded(phase("setup", "skipped", longrepr))
    assert (result.outcome, result.reason) == (Outcome.NOT_APPLICABLE, "no mask")


def test_an_expected_failure_is_known() -> None:
    expected = phase("call", "skipped", "Δ")
    expected.wasxfail = "a bug of ours"
    result = recorded(expected)
    assert (result.outcome, result.reason) == (Outcome.KNOWN, "a bug of ours")


@pytest.mark.parametrize(("outcome", "ran"), [("passed", True), ("failed", True), ("skipped", False)])
def test_tests_of_others_are_no_result(outcome: Literal["passed", "failed", "skipped"], ran: bool) -> None:
    record = Record(["tiny:a"], ["hooks"])
    record.add(pytest.TestReport("test_mine.py::test_mine", ("", 0, ""), {}, outcome, None, "call"))
    assert (record.results, record.others_ran) == ({}, ran)


def test_the_report_of_a_crash_tells_its_requirement_by_the_id() -> None:
    record = Record(["tiny:a", "tiny:a-b"], ["hooks"])
    nodeid = catalogue()["exact-delta"].nodeid + "[tiny:a-b-first-0.5]"
    record.add(pytest.TestReport(nodeid, ("", 0, ""), {}, "failed", "worker 'gw0' crashed", "???"))  # type: ignore[arg-type]
    (result,) = record.results.values()
    assert (result.id, result.group, result.spec, result.adapter) == ("exact-delta", "divergence", "tiny:a-b", "")
    assert (result.outcome, result.reason) == (Outcome.ERROR, "worker 'gw0' crashed")


def full() -> Record:
    """Two models under two adapters, of which one is never named."""
    record = Record(["tiny:b", "tiny:a"], ["other", "hooks"])
    for spec in ("tiny:a", "tiny:b", "tiny:0"):
        for adapter in ("hooks", "another", "other"):
            record.add(phase(nodeid=f"{spec} {adapter}", steering_spec=spec, steering_adapter=adapter))
        record.add(phase(nodeid=spec, steering_spec=spec, steering_adapter="", steering_requirement="layers-found"))
    return record


def test_rows_stand_in_the_order_in_which_they_were_named() -> None:
    rows = full().rows()
    assert [(row.spec, row.adapter) for row in rows] == [
        (spec, adapter) for spec in ("tiny:b", "tiny:a", "tiny:0") for adapter in ("other", "hooks", "another")
    ]
    assert {tuple(row.ids(Outcome.PASSED)) for row in rows} == {("exact-delta", "layers-found")}


def test_tests_on_no_adapter_alone_count_for_each_that_was_named() -> None:
    record = Record(["tiny:a"], ["hooks", "folded"])
    record.add(phase(steering_adapter=""))
    assert [row.adapter for row in record.rows()] == ["hooks", "folded"]


def test_one_test_that_is_applicable_makes_a_requirement_applicable() -> None:
    record = Record(["tiny:a"], ["hooks"])
    record.add(phase(nodeid="one", outcome="skipped", longrepr="not applicable: x"))
    (row,) = record.rows()
    assert (row.not_applicable, row.error, row.verdict) == (
        ["exact-delta"],
        "no requirement was applicable",
        Verdict.ERROR,
    )
    record.add(phase(nodeid="two"))
    (row,) = record.rows()
    assert (row.not_applicable, row.error, row.verdict) == ([], "", Verdict.CONFORMS)


def test_the_cause_of_failures_is_told_unless_there_is_nothing_to_judge() -> None:
    record = Record(["tiny:a"], ["hooks"])
    record.add(phase("call", "failed", steering_cause="never-arrives", steering_likely="it never arrives"))
    (row,) = record.rows()
    assert (row.explanation.cause, row.verdict) == ("never-arrives", Verdict.FAILS)
    record.add(phase("setup", "failed", nodeid="two", steering_error="it cannot be built"))
    (row,) = record.rows()
    assert (row.explanation.text, row.error, row.verdict) == ("", "it cannot be built", Verdict.ERROR)


def test_what_is_learnt_of_a_model() -> None:
    record = Record(["tiny:a"], ["hooks"])
    record.add(phase("setup", steering_load_seconds="1.5", steering_device="cpu float32", steering_note="one"))
    record.add(phase("call", steering_peak_bytes=9, steering_note="one", steering_adapter_title="Hooks 1"))
    record.add(phase("call", nodeid="two", steering_peak_bytes=7, steering_note="two", steering_overhead='{"a": 1}'))
    record.add(phase("teardown", nodeid="two", steering_overhead='{"a": 2}', steering_note="three"))
    (row,) = record.rows()
    assert (row.title, row.model.load_seconds, row.model.peak_bytes) == ("Hooks 1", 1.5, 9)
    assert (row.model.device, row.model.notes, row.model.overhead) == (
        "cpu float32",
        ["one", "two"],
        {"hooks": {"a": 1}},
    )


def test_the_report_adds_up_and_says_nothing_of_a_model_that_is_not_there() -> None:
    record = Record(["tiny:a"], ["hooks"])
    record.add(phase("setup", "failed", steering_error="it cannot be loaded"))
    record.add(phase("teardown"))
    record.models.clear()
    (model,) = as_json(record)["models"]
    assert model["architecture"] is None
    assert model["cost"] == {
        "forward_passes": 0,
        "forward_tokens": 0,
        "seconds": 0.625,
        "load_seconds": 0.0,
        "peak_bytes": 0,
    }
    assert [entry["seconds"] for entry in model["requirements"]] == [0.625]
    document = as_json(full())
    assert (document["schema"], document["suite"]) == (1, SUITE_VERSION)
    assert document["models"][0]["cost"]["seconds"] == 0.625


def test_the_file_can_be_read_by_a_person(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write(path, {"reason": "max |Δ|"})
    assert path.read_text(encoding="utf-8") == '{\n  "reason": "max |Δ|"\n}\n'
    assert json.loads(path.read_text(encoding="utf-8")) == {"reason": "max |Δ|"}


class Terminal:
    """What is written on a terminal, with its colour."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def write_sep(self, _sep: str, title: str) -> None:
        self.lines.append((title, ""))

    def write_line(self, line: str, **markup: bool) -> None:
        self.lines.append((line.partition(" as far as")[0], " ".join(markup)))


def test_what_conforms_is_green_and_what_does_not_is_red() -> None:
    record = Record(["tiny:a", "tiny:b"], ["hooks"])
    record.add(phase(nodeid="one"))
    record.add(phase("call", "failed", "Δ", nodeid="two", steering_spec="tiny:b"))
    terminal: Any = Terminal()
    show(terminal, record, ["every-row"])
    assert terminal.lines == [
        ("tiny:a with hooks", ""),
        ("divergence  1 passed", ""),
        ("tiny:b with hooks", ""),
        ("divergence  0 passed, 1 failed: exact-delta", ""),
        ("likely: unknown pattern; exact-delta: Δ", ""),
        ("steering", ""),
        (f"tiny:a with hooks: conforms to {SUITE_VERSION}", "green"),
        (f"tiny:b with hooks: fails {SUITE_VERSION}", "red"),
        ("every-row", "red"),
    ]


def test_nothing_is_shown_of_a_run_without_results() -> None:
    terminal: Any = Terminal()
    show(terminal, Record(["tiny:a"], ["hooks"]), ["every-row"])
    assert terminal.lines == []
