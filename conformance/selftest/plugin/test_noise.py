"""The ratio of times fails what is far outside noise, and nothing because the machine is busy.

``NOISE_TRIALS=20`` tries so many times; without it, twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from conformance.selftest.desk import MODEL, RIGHT, Desk

TRIALS = int(os.environ.get("NOISE_TRIALS", "2"))
LOOPS = 4
TIMED = ("-k", "overhead", "-p", "no:cacheprovider")
SLEEPING = """
import time
from contextlib import contextmanager

from my_steering import Right
from pytest_steering.architecture.tracing import hooked


class Sleeps(Right):
    @contextmanager
    def steer(self, plan):
        sleep = self.architecture.entry.register_forward_pre_hook(lambda *_: time.sleep(0.002))
        with hooked(sleep), super().steer(plan) as steered:
            yield steered
"""


@pytest.fixture
def busy() -> Iterator[None]:
    """Four busy loops beside the test: as many as end when it does."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(LOOPS)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


def failed(desk: Desk, judged: int, *asked: str) -> list[int]:
    """How many of the timing requirements failed, in each trial, of as many as were ``judged``."""
    found = []
    for _ in range(TRIALS):
        result = desk.run(*TIMED, *asked)
        outcomes = result.parseoutcomes()
        found.append(outcomes.get("failed", 0))
        assert outcomes.get("passed", 0) + found[-1] == judged, result.stdout.str()
    return found


@pytest.mark.slow
def test_a_busy_machine_fails_no_right_adapter(busy: None, desk: Desk) -> None:
    assert failed(desk, 2, "--steering-model=tiny:llama", RIGHT) == [0] * TRIALS


@pytest.mark.slow
def test_a_pass_that_sleeps_two_milliseconds_fails_each_time(busy: None, desk: Desk) -> None:
    """Beside a pass of less than that, of a model that is made in no time and does not generate."""
    desk.write(sleeping=SLEEPING)
    assert failed(desk, 1, MODEL, "--steering-adapter=sleeping:Sleeps") == [1] * TRIALS
