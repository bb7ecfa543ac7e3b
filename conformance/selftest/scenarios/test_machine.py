"""Sessions are drawn, judged as a whole, and shrunk to the shortest that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.selftest.desk import Desk
from conformance.selftest.scenarios.harnesses import BAD, harness_of
from pytest_steering.errors import Violation
from pytest_steering.scenarios.machine import said, worker
from pytest_steering.scenarios.plans import PlanOf
from pytest_steering.scenarios.prompts import Prompt
from pytest_steering.scenarios.steps import Call, Enter, Fail, Leave, Make
from pytest_steering.suite import exploring
from pytest_steering.suite.exploring import explore


def test_a_session_reads_as_one_line() -> None:
    session = (
        Make("anew"),
        Enter(0, PlanOf(positions="last")),
        Call(Prompt(padding="left"), "greedy"),
        Fail(Call()),
        Leave(0, "exception"),
        Call(),
    )
    assert said(session) == (
        "make (anew); enter 0 (positions=last); call (run=greedy, padding=left); a call fails; "
        "leave 0 by exception; call (plain)"
    )


def test_a_right_adapter_fails_in_none(request: pytest.FixtureRequest) -> None:
    machine = worker(harness_of())
    explore(request.config, machine, examples=15)
    assert machine.judged >= 10


def test_a_wrong_one_is_shrunk(request: pytest.FixtureRequest) -> None:
    machine = worker(harness_of(f"{BAD}.uses.calls:OnlyIdsMaskAndPositions"))
    with pytest.raises(Violation) as caught:
        explore(request.config, machine, examples=60)
    steps = caught.value.where.partition("in the session: ")[2].split("; ")
    assert steps[0] == "enter 0 (plain)"
    assert steps[-2:] == ["leave 0", "call (plain)"]
    # One call has one argument that is not passed on, and nothing else is unusual.
    assert [step for step in steps[1:-2] if step != "call (plain)"] == ["call (arguments=embeddings)"]


@pytest.mark.slow
def test_minutes_go_on_with_other_sessions_and_keep_what_fails(desk: Desk) -> None:
    wrong = f"--steering-adapter={BAD}.uses.calls:OnlyIdsMaskAndPositions"
    failed = desk.run("--steering-model=tiny:llama", "-k", "any_session", "--steering-fuzz=0.05", wrong)
    assert failed.ret == 1
    assert "in the session: enter 0" in failed.stdout.str()
    assert any((Path(desk.path) / exploring.KEPT).rglob("*"))
