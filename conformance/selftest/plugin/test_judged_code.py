"""Judged code decides nothing: it does not skip a requirement, expect it to fail, or end the run."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import FEW, MODEL, Desk

ADAPTER = """
import sys, unittest
from contextlib import contextmanager

import pytest


def skip(): pytest.skip("no time")
def lacks(): pytest.importorskip("nothing_of_the_kind")
def expect(): pytest.xfail("some day")
def case(): raise unittest.SkipTest("no case")
def leave(): pytest.exit("done", returncode=0)
def end(): sys.exit(0)


class Deciding:
    name, capabilities = "deciding", frozenset()

    def __init__(self, model, architecture):
        self.model = model
        self.decide("make")

    def decide(self, place):
        if place == PLACE:
            HOW()

    @contextmanager
    def steer(self, plan):
        self.decide("steer")
        yield self.call

    def call(self, *args, **kwargs):
        self.decide("call")
        return self.model(*args, **kwargs)
"""
WAYS = {
    "skip": "Skipped",
    "lacks": "Skipped",
    "expect": "XFailed",
    "case": "SkipTest",
    "leave": "Exit",
    "end": "SystemExit",
}


@pytest.mark.parametrize("place", ["make", "steer", "call"])
@pytest.mark.parametrize("way", WAYS)
def test_it_fails(desk: Desk, place: str, way: str) -> None:
    desk.write(deciding=f"{ADAPTER}\nPLACE, HOW = {place!r}, {way}\n")
    result = desk.run(MODEL, "--steering-adapter=deciding:Deciding", *FEW)
    assert result.ret == 1
    text = result.stdout.str()
    if place == "make":
        assert f"adapter deciding:Deciding cannot be built: {WAYS[way]}: " in text
    else:
        assert f"the judged code ends the test by raising {WAYS[way]}: " in text
        assert "my_models:a with deciding: fails 1.1" in text


@pytest.mark.parametrize("way", WAYS)
def test_so_do_modules_that_are_named(desk: Desk, way: str) -> None:
    desk.write(deciding=f"{ADAPTER}\n{way}()\n")
    for option in ("--steering-model=deciding:make", "--steering-adapter=deciding:Deciding"):
        result = desk.run(*([MODEL] if "adapter" in option else []), option, *FEW)
        assert result.ret == 4
        assert WAYS[way] in result.stderr.str()
