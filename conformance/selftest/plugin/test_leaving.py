"""Judged code does not end pytest, least of all with status 0."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from conformance.selftest.desk import FEW, MODEL, OTHERS, Desk
from pytest_steering.plugin.leaving import staying
from pytest_steering.plugin.supervising import OTHER, UNTOLD

ADAPTER = """
import os, sys, threading, time
from contextlib import contextmanager


def leave(): os._exit(0)
def replace(): os.execv("/bin/true", ["true"])
def replace_by_name(): os.execlp("true", "true")
def in_a_thread():
    threading.Thread(target=os._exit, args=(0,)).start()
    time.sleep(20)
def in_a_child():
    child = os.fork()
    if not child:
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


class Leaving:
    name, capabilities = "leaving", frozenset()

    def __init__(self, model, architecture):
        self.model = model
        self.leave("make")

    def leave(self, place):
        if place == PLACE:
            HOW()

    @contextmanager
    def steer(self, plan):
        self.leave("steer")
        yield self.call

    def call(self, *args, **kwargs):
        self.leave("call")
        return self.model(*args, **kwargs)
"""


@pytest.mark.parametrize("place", ["make", "steer", "call"])
@pytest.mark.parametrize("way", ["leave", "replace", "replace_by_name"])
def test_it_is_an_error(desk: Desk, place: str, way: str) -> None:
    desk.write(leaving=f"{ADAPTER}\nPLACE, HOW = {place!r}, {way}\n")
    result = desk.run(MODEL, "--steering-adapter=leaving:Leaving", *FEW, "--steering-report=r.json")
    assert result.ret == 1
    text = result.stdout.str()
    assert "SystemExit: os." in text
    assert [row["verdict"] for row in desk.report("r.json")["models"]] == ["error" if place == "make" else "fails"]


def test_a_thread_ends_it_with_another_status_and_a_sentence(desk: Desk) -> None:
    desk.write(leaving=f"{ADAPTER}\nPLACE, HOW = 'steer', in_a_thread\n")
    result = desk.run_apart(MODEL, "--steering-adapter=leaving:Leaving", *FEW)
    assert result.ret == 1
    assert "the judged code ends the process by os._exit(0) in a thread" in result.errlines


def test_a_worker_that_is_ended_in_c_fails_the_run(desk: Desk) -> None:
    how = "lambda: __import__('ctypes').CDLL(None)._exit(0)"
    desk.write(leaving=f"{ADAPTER}\nPLACE, HOW = 'steer', {how}\n")
    result = desk.run(MODEL, "--steering-adapter=leaving:Leaving", "-k", "same_twice", "-n1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*crashed while running*same_twice*"])


IN_C = "lambda: __import__('ctypes').CDLL(None)._exit(0)"


@pytest.mark.parametrize(
    ("source", "said", "status"),
    [
        (f"{ADAPTER}\nPLACE, HOW = 'steer', {IN_C}\n", UNTOLD, 1),
        (f"({IN_C})()", UNTOLD, 1),
        # Once pytest is done, the run has failed.
        ("import atexit, ctypes\natexit.register(ctypes.CDLL(None)._exit, 0)\nLeaving = lambda *_: 1 / 0\n", OTHER, 1),
        # A signal is what it was.
        ("import os\nos.kill(os.getpid(), 11)", "", -11),
    ],
    ids=["steer", "import", "atexit", "signal"],
)
def test_a_process_that_is_ended_in_c_is_no_success(desk: Desk, source: str, said: str, status: int) -> None:
    desk.write(leaving=source)
    result = desk.run_apart(MODEL, "--steering-adapter=leaving:Leaving", "-k", "same_twice")
    assert result.ret == status, result.stdout.str()
    assert said in result.errlines or not said


def test_the_watched_run_is_what_it_was(desk: Desk) -> None:
    desk.write(test_mine="import sys\ndef test_mine(steering_model): print(sys.stdin.read())")
    for command, status, said in [(["-k", "layers_chain"], 0, "1 passed"), (["-k", "none"], 5, "deselected")]:
        result = desk.run_apart(MODEL, *command)
        assert (result.ret, result.errlines) == (status, [])
        result.stdout.fnmatch_lines([f"*{said}*"])
        assert sum("test session starts" in line for line in result.outlines) == 1


@pytest.mark.parametrize("outer", [(), (MODEL,)], ids=["plain", "watched"])
def test_a_run_inside_of_a_test_is_its_own(desk: Desk, outer: tuple[str, ...]) -> None:
    inner = f"pytest.main(['-q', '-p', 'no:cacheprovider', {MODEL!r}, '-k', 'layers_chain or nothing_at_all', *more])"
    desk.write(
        test_mine=f"import os, pytest\n@pytest.mark.parametrize('more', [['-k', 'none'], []])\ndef test_mine(more):\n"
        f"    before = os.getpid()\n    assert {inner} == (5 if more else 0)\n    assert os.getpid() == before"
    )
    result = desk.run_apart(*outer, "test_mine.py")
    assert (result.ret, result.errlines) == (0, []), result.stdout.str()
    assert result.parseoutcomes() == {"passed": 2}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_a_signal_to_the_watching_process_ends_the_run(
    desk: Desk, number: signal.Signals, send: Callable[[int, int], None]
) -> None:
    desk.write(slow="import os, time\nopen('began', 'w').write(str(os.getpid()))\ntime.sleep(60)")
    command = [sys.executable, "-m", "pytest", *OTHERS, MODEL, "--steering-adapter=slow:Any"]
    # A shell's background job hears no Ctrl-C, nor what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=desk.path, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    while not (desk.path / "began").exists() or not (desk.path / "began").read_text():
        time.sleep(0.05)
    judging = psutil.Process(int((desk.path / "began").read_text()))
    assert judging.pid != process.pid
    send(process.pid, number)
    assert process.wait(20) != 0
    assert psutil.wait_procs([judging], 20)[1] == []


def test_a_child_ends_as_it_wants_to(desk: Desk) -> None:
    desk.write(leaving=f"{ADAPTER}\nPLACE, HOW = 'make', in_a_child\n")
    assert desk.run(MODEL, "--steering-adapter=leaving:Leaving", "-k", "layers_chain").ret == 0


def test_afterwards_it_is_as_before() -> None:
    before = os._exit, os.execv, os.execve
    with pytest.raises(SystemExit, match=r"os\._exit\(3\)"), staying(2):
        os._exit(3)
    assert (os._exit, os.execv, os.execve) == before
