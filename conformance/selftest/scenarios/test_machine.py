"""Sessions are drawn, judged as a whole, and shrunk to the shortest that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.selftest.desk import Desk
from conformance.selftest.scenarios.harnesses import BAD, harness_of
from pytest_steering.errors import Violation
from pytest_steering.scenarios.machine import worker
from pytest_steering.scenarios.plans import PlanOf
from pytest_steering.scenarios.program import program
from pytest_steering.scenarios.prompts import Prompt
from pytest_steering.scenarios.steps import Call, Enter, Fail, Leave, Make, Prepare, Refuse
from pytest_steering.suite import exploring
from pytest_steering.suite.exploring import explore


def test_a_session_reads_as_a_program() -> None:
    session = (
        Make("anew"),
        Enter(0, PlanOf(positions="last")),
        Call(Prompt(padding="left"), "generate"),
        Fail(Call()),
        Leave(0, "exception"),
        Prepare(1, PlanOf(scale="half")),
        Enter(1, PlanOf(scale="half")),
        Refuse(),
    )
    assert program(session, "tiny:llama", "mine:Adapter", dtype="bfloat16").splitlines() == [
        "from pytest_steering import Replay",
        "",
        "use = Replay('tiny:llama', 'mine:Adapter', dtype='bfloat16')",
        "use.make('anew')",
        "block_0 = use.enter(positions='last')",
        "use.call(run='generate', padding='left')",
        "use.fail()",
        "use.leave(block_0, by='exception')",
        "block_1 = use.prepare(scale='half')",
        "use.enter(block_1)",
        "use.refuse()",
        "use.judge()",
    ]


def test_a_right_adapter_fails_in_none(request: pytest.FixtureRequest) -> None:
    machine = worker(harness_of())
    explore(request.config, machine, examples=15)
    assert machine.judged >= 10


@pytest.mark.slow
def test_a_wrong_one_is_shrunk(request: pytest.FixtureRequest) -> None:
    machine = worker(harness_of(f"{BAD}.uses.calls:OnlyIdsMaskAndPositions"))
    with pytest.raises(Violation) as caught:
        explore(request.config, machine, examples=60)
    assert caught.value.program is not None
    steps = caught.value.program("mine").splitlines()[3:]
    assert (steps[0], steps[-3:]) == ("block_0 = use.enter()", ["use.leave(block_0)", "use.call()", "use.judge()"])
    # One call has one argument that is not passed on, and nothing else is unusual.
    (unusual,) = (step for step in steps[1:-3] if step != "use.call()")
    assert unusual in ("use.call(arguments='embeddings')", "use.call(memory='callers')")


@pytest.mark.slow
def test_minutes_go_on_with_other_sessions_and_keep_what_fails(desk: Desk) -> None:
    wrong = f"--steering-adapter={BAD}.uses.calls:OnlyIdsMaskAndPositions"
    failed = desk.run("--steering-model=tiny:llama", "-k", "any_session", "--steering-fuzz=0.05", wrong)
    assert failed.ret == 1
    assert "    block_0 = use.enter(" in failed.stdout.str()
    assert any((Path(desk.path) / exploring.KEPT).rglob("*"))
