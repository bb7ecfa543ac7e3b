"""The command under a failure repeats it, also where the failure depends on what ran before."""

from __future__ import annotations

import shlex

import pytest

from conformance.selftest.desk import BAD, MODEL, Desk
from pytest_steering.oracle.diagnosis.causes import OF_STATE

STATEFUL = """
import time
from contextlib import contextmanager

from my_steering import Right
from pytest_steering import SteeringPlan


class EverySecond(Right):
    "Each second block of an adapter is steered half as much again."

    blocks, every, from_ = 0, 2, 0

    @contextmanager
    def steer(self, plan):
        self.blocks += 1
        if self.blocks > self.from_ and self.blocks % self.every == 0:
            plan = SteeringPlan(plan.vectors, plan.scale * 1.5, plan.positions)
        with super().steer(plan) as steered:
            yield steered


class FromTheTenth(EverySecond):
    every, from_ = 1, 9


class Slow(EverySecond):
    @contextmanager
    def steer(self, plan):
        time.sleep(0.05)
        with super().steer(plan) as steered:
            yield steered


class FromTheEighteenth(EverySecond):
    every, from_ = 1, 17
"""
CHOSEN = ("-k", "exact_delta or every_row or only_these or zero_scale or sign_is_kept")


def failures(desk: Desk, adapter: str, *options: str) -> list[dict[str, str]]:
    desk.write(stateful=STATEFUL)
    result = desk.run(MODEL, f"--steering-adapter={adapter}", *CHOSEN, *options, "--steering-report=r.json")
    assert result.ret == 1, result.stdout.str()
    rows = desk.report("r.json")["models"][0]["requirements"]
    return [entry for entry in rows if entry["outcome"] == "failed"]


@pytest.mark.parametrize("adapter", ["EverySecond", "FromTheTenth"])
def test_what_must_run_before_stands_in_the_command(desk: Desk, adapter: str) -> None:
    failed = failures(desk, f"stateful:{adapter}")
    assert len(failed) > 3
    longer = [entry for entry in failed if entry["rerun"].count("::") > 1]
    assert longer
    for entry in failed[:3]:
        assert desk.run(*shlex.split(entry["rerun"])[1:]).ret == 1, entry["rerun"]
    assert {entry["cause"] for entry in longer} <= OF_STATE


def test_where_too_much_must_run_before_it_is_the_whole_run(desk: Desk) -> None:
    last = failures(desk, "stateful:FromTheEighteenth")[-1]
    assert last["cause"] in OF_STATE
    assert last["rerun"] == f"pytest {MODEL} --steering-adapter=stateful:FromTheEighteenth"


def test_what_fails_alone_is_repeated_alone(desk: Desk) -> None:
    failed = failures(desk, BAD.partition("=")[2])
    assert failed
    assert {entry["rerun"].count("::") for entry in failed} == {1}
    assert not OF_STATE & {entry["cause"] for entry in failed}


def test_what_takes_long_is_not_run_again_until_its_time_is_over(desk: Desk) -> None:
    """A hundredth of the limit is 40 ms here, and each block takes 50."""
    failed = failures(desk, "stateful:Slow", "--steering-timeout=4")
    assert {entry["rerun"].count("::") for entry in failed} == {1}
