"""The frames of judged code are shown to one who asks, without the suite's."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import BAD, EXACT, MODEL, Desk

RAISING = "--steering-adapter=my_steering:Raising"
FRAMES = [
    "  my_steering.py:*: in steer",
    "      yield nothing[[]0[]]",
    "E     TypeError: 'NoneType' object is not subscriptable",
]
ASKED = [
    ("-v",),
    ("-vv",),
    ("--tb=short",),
    ("--tb=long",),
    ("--tb=native",),
    ("--showlocals", "-v"),
    ("-v", "-n", "1"),
]


@pytest.mark.parametrize("args", ASKED, ids=" ".join)
def test_the_adapters_frames(desk: Desk, args: tuple[str, ...]) -> None:
    result = desk.run(MODEL, RAISING, EXACT[0], *args)
    assert result.ret == 1
    result.stdout.fnmatch_lines(FRAMES, consecutive="--showlocals" not in args)
    places = [line for line in result.outlines if ": in " in line]
    assert places
    assert [line for line in places if not line.startswith("  my_steering.py:")] == []
    assert ("      nothing = None" in result.outlines) == ("--showlocals" in args)


@pytest.mark.parametrize("args", [(), ("--tb=line",), ("--tb=no",), ("--showlocals",), ("-v", "--tb=no")], ids=" ".join)
def test_nobody_else_sees_them(desk: Desk, args: tuple[str, ...]) -> None:
    text = desk.run(MODEL, RAISING, EXACT[0], *args).stdout.str()
    assert "yield nothing[0]" not in text


def test_of_a_model_and_an_adapter_that_are_not_there(desk: Desk) -> None:
    model = desk.run("--steering-model=my_models:broken", EXACT[0].replace(":a-", ":broken-"), "-v")
    model.stdout.fnmatch_lines(
        ["  my_models.py:*: in broken", "      raise ValueError(*", "E     ValueError: the weights *"]
    )
    adapter = desk.run(MODEL, "--steering-adapter=my_steering:Broken", EXACT[0], "--tb=short")
    adapter.stdout.fnmatch_lines(
        ["  my_steering.py:*: in __init__", '      raise KeyError("h")', "E     KeyError: 'h'"]
    )


def test_a_violation_has_none(desk: Desk) -> None:
    lines = desk.run(MODEL, BAD, EXACT[0], "-v").outlines
    assert not [line for line in lines if line.startswith("E  ") or ": in " in line]
