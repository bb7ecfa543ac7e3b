"""--steering-timeout: a requirement that never ends is ended, and the run says which and where."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import FEW, MODEL, RIGHT, Desk, refused

ADAPTER = """
import re, time
from contextlib import contextmanager

from my_steering import Right


def sleep(): time.sleep(60)
def in_c(): re.match("(a+)+b", "a" * 60)  # for ages, and no other thread runs meanwhile


class Hanging(Right):
    blocks = 0

    @contextmanager
    def steer(self, plan):
        Hanging.blocks += 1
        if Hanging.blocks > AFTER:
            HOW()
        with super().steer(plan) as steered:
            yield steered


class HangingWhenMade(Right):
    def __init__(self, model, architecture): HOW()
"""
LIMIT = "--steering-timeout=6"
ENDED = "* has not ended after 6 s (--steering-timeout): the run ends; it stands here:"


@pytest.mark.slow
def test_it_ends_with_the_name_and_the_place(desk: Desk) -> None:
    desk.write(hanging=f"{ADAPTER}\nAFTER, HOW = 6, sleep\n")
    result = desk.run_apart(MODEL, "--steering-adapter=hanging:Hanging", *FEW, LIMIT, "--steering-report=r.json")
    assert result.ret == 1
    result.stderr.fnmatch_lines(
        [
            f"every-row (Hanging on my_models:a, *test_every_row*{ENDED}",
            '*hanging.py", line * in sleep',
            '*test_positions.py", line * in test_every_row',
        ]
    )
    document = desk.report("r.json")
    assert document["complete"] is False
    judged = {entry["id"] for entry in document["models"][0]["requirements"]}
    assert judged == {"layers-found", "exact-delta"}, "what did not come to its end did not pass"


@pytest.mark.slow
def test_so_it_does_while_c_code_lets_no_thread_run_and_while_an_adapter_is_made(desk: Desk) -> None:
    desk.write(hanging=f"{ADAPTER}\nAFTER, HOW = 0, in_c\n")
    result = desk.run_apart(MODEL, "--steering-adapter=hanging:HangingWhenMade", "-k", "same_twice", LIMIT)
    assert result.ret == 1
    result.stderr.fnmatch_lines(['*hanging.py", line * in in_c'])


@pytest.mark.slow
def test_a_worker_ends_alone(desk: Desk) -> None:
    desk.write(hanging=f"{ADAPTER}\nAFTER, HOW = 0, sleep\n")
    result = desk.run(MODEL, "--steering-adapter=hanging:Hanging", "-k", "layers_found or same_twice", LIMIT, "-n1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*crashed while running *same_twice*", "*(1 passed, 1 failed: same-twice)"])


@pytest.mark.slow
def test_it_is_a_setting_of_the_project_too(desk: Desk) -> None:
    desk.write(hanging=f"{ADAPTER}\nAFTER, HOW = 0, sleep\n")
    desk.ini("steering_timeout = 6")
    result = desk.run_apart(MODEL, "--steering-adapter=hanging:Hanging", "-k", "same_twice")
    assert result.ret == 1
    result.stderr.fnmatch_lines([f"same-twice {ENDED}"])


def test_what_ends_in_time_is_left_alone(desk: Desk) -> None:
    assert desk.run(MODEL, RIGHT, "-k", "same_twice", "--steering-timeout=60").ret == 0
    assert desk.run(MODEL, RIGHT, "-k", "same_twice", "--steering-timeout=0").ret == 0


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e30"])
def test_what_is_no_number_of_seconds_is_refused(desk: Desk, value: str) -> None:
    refused(
        desk, MODEL, f"--steering-timeout={value}", sentence="--steering-timeout=* is no number of seconds from 0 *"
    )


def test_a_setting_that_is_no_number_is_refused(desk: Desk) -> None:
    desk.ini("steering_timeout = long")
    refused(desk, MODEL, sentence="--steering-timeout=nan is no number of seconds from 0 *")
