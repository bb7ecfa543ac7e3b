"""Judged code does not end pytest, least of all with status 0."""

from __future__ import annotations

import os

import pytest

from conformance.selftest.desk import FEW, MODEL, Desk
from pytest_steering.plugin.leaving import staying

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


def test_a_child_ends_as_it_wants_to(desk: Desk) -> None:
    desk.write(leaving=f"{ADAPTER}\nPLACE, HOW = 'make', in_a_child\n")
    assert desk.run(MODEL, "--steering-adapter=leaving:Leaving", "-k", "layers_chain").ret == 0


def test_afterwards_it_is_as_before() -> None:
    before = os._exit, os.execv, os.execve
    with pytest.raises(SystemExit, match=r"os\._exit\(3\)"), staying(2):
        os._exit(3)
    assert (os._exit, os.execv, os.execve) == before
