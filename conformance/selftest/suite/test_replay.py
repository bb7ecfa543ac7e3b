"""What a failure prints as a program fails when somebody runs it, and is the shortest that does."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from conformance.selftest.forking.interpreter import interpreter
from conformance.selftest.scenarios.harnesses import BAD, harness_of
from pytest_steering import Replay, SpecError
from pytest_steering.errors import Violation
from pytest_steering.scenarios.nearest import check
from pytest_steering.scenarios.space import Scenario

ADDITIVE = f"{BAD}.uses.padding:FirstQueryIsThePadding"


def violation(adapter: str, scenario: Scenario) -> Violation:
    with pytest.raises(Violation) as caught:
        check(harness_of(adapter), [scenario])
    return caught.value


def test_the_program_is_the_shortest_and_fails_in_a_process_of_its_own() -> None:
    told = violation(ADDITIVE, Scenario.of(mask="additive", block="again", history="prompt", scale="half"))
    assert told.program is not None
    text = told.program(ADDITIVE)
    assert text.splitlines()[3:] == ["use.enter()", "use.call(mask='additive')", "use.judge()"]
    run = subprocess.run([interpreter(), "-c", text], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"Violation: {told.detail}" in run.stderr


@pytest.mark.parametrize(
    ("adapter", "values"),
    [
        ("uses.passes:LastColumnWithoutCache", {"run": "uncached", "positions": "last"}),
        ("uses.calls:OnlyIdsMaskAndPositions", {"arguments": "labels"}),
    ],
)
def test_it_runs_the_session_that_failed(adapter: str, values: dict[str, str]) -> None:
    told = violation(f"{BAD}.{adapter}", Scenario.of(values))
    assert told.program is not None
    with pytest.raises(Violation, match="|".join((told.detail[:20], "max"))):
        exec(told.program(f"{BAD}.{adapter}"), {})


def test_every_step_can_be_written() -> None:
    use = Replay("tiny:llama", dtype="bfloat16")
    use.make("anew")
    first = use.prepare(layers="last")
    outer = use.enter()
    use.refuse()
    use.fail(run="generate")
    use.enter(first)
    use.call(padding="left", run="generate")
    use.leave(first, by="interrupt")
    use.collect()
    use.leave(outer)
    use.judge()


def wrong(step: str, values: dict[str, Any]) -> None:
    getattr(Replay("tiny:llama"), step)(**values)


@pytest.mark.parametrize(
    ("step", "values", "sentence"),
    [
        ("call", {"padding": "top"}, "there is no 'top' in padding: known are none, left"),
        ("call", {"layers": "last"}, "there is no 'layers' in Call: known are prompt, run"),
        ("enter", {"where": "here"}, "there is no 'where' in PlanOf: known are positions"),
        ("make", {"how": "badly"}, "there is no 'badly' in made: known are before"),
        ("leave", {"block": 1, "by": "luck"}, "there is no 'luck' in ends: known are end"),
    ],
)
def test_what_cannot_be_meant_is_said(step: str, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        wrong(step, values)


def test_what_the_model_cannot_do_is_said() -> None:
    use = Replay("tiny:bloom")
    use.call(arguments="positions")
    with pytest.raises(SpecError, match="tiny:bloom cannot be used in this way: the model takes no position_ids"):
        use.judge()
