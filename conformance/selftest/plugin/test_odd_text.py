"""What judged code says of itself forges no line, colours no terminal and breaks no report."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from conformance.selftest.desk import FEW, MODEL, RIGHT, Desk
from pytest_steering.errors import one_line, printable, text_of

FORGED = "my_models:a with x: conforms"
ODD = f"x\\x1b[32m\\x9b\\udc80\\n{FORGED} to 1.1 (132 passed)\\n" + "y" * 3000
ADAPTERS = f"""
from contextlib import contextmanager

from my_steering import Right


class E(Exception):
    def __str__(self): raise ValueError("no text")


class Odd(Right):
    def __init__(self, model, architecture):
        super().__init__(model, architecture)
        self.name = "{ODD}"


class Versioned(Right):
    version = "{ODD}"


class Saying(Right):
    @contextmanager
    def steer(self, plan):
        raise ValueError("{ODD}")
        yield


class Mute(Right):
    @contextmanager
    def steer(self, plan):
        raise E()
        yield


class MuteWhenMade(Right):
    def __init__(self, model, architecture): raise E()


class NoCapabilities(Right):
    @property
    def capabilities(self): raise E()


class NoVersion(Right):
    @property
    def version(self): raise E()


class One(Right):
    def __init__(self, model, architecture):
        super().__init__(model, architecture)
        self.name = "same"


class Other(One):
    pass
"""
MODELS = f"""
class E(Exception):
    def __str__(self): raise ValueError("no text")


def odd(): raise ValueError("{ODD}")
def mute(): raise E()
def end(): raise SystemExit(0)
def skip():
    import pytest
    pytest.skip("x")
"""


def lines_of(desk: Desk, *args: str, status: int) -> list[str]:
    """What a run says; nothing of it is forged, obeyed or endless, and both reports can be read."""
    desk.write(odd_adapters=ADAPTERS, odd_models=MODELS)
    result = desk.run(*args, *FEW, "--steering-report=r.json", "--junitxml=j.xml")
    assert result.ret == status, result.stdout.str() + result.stderr.str()
    for line in result.outlines:
        assert line.isprintable()
        assert not line.startswith(FORGED)
        assert len(line) < 2500
    (row,) = desk.report("r.json")["models"]
    assert str(row["adapter"]).isprintable()
    assert ElementTree.parse(Path(desk.path / "j.xml")).getroot().tag == "testsuites"
    return result.outlines


@pytest.mark.parametrize(
    ("adapter", "status", "said"),
    [
        ("Odd", 0, r"my_models:a with x\x1b[32m\x9b\udc80\nmy_models:a with x:"),
        ("Versioned", 0, r"my_models:a with Versioned x\x1b[32m\x9b\udc80\n"),
        ("Saying", 1, rf"ValueError: x\x1b[32m\x9b\udc80 {FORGED} to 1.1 (132 passed) yyy"),
        ("Mute", 1, "E: it has no text of its own, because its __str__ raises an exception"),
        ("MuteWhenMade", 1, "cannot be built: E: it has no text of its own, because its __str__ raises an exception"),
        ("NoCapabilities", 1, "adapter odd_adapters:NoCapabilities cannot be read: E: it has no text of its own"),
        ("NoVersion", 1, "adapter odd_adapters:NoVersion cannot be read: E: it has no text of its own"),
    ],
)
def test_adapters(desk: Desk, adapter: str, status: int, said: str) -> None:
    lines = lines_of(desk, MODEL, f"--steering-adapter=odd_adapters:{adapter}", status=status)
    assert any(said in line for line in lines), lines


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("odd", rf"ValueError: x\x1b[32m\x9b\udc80 {FORGED} to 1.1"),
        ("mute", "E: it has no text of its own"),
        ("end", "SystemExit: 0"),
        ("skip", "Skipped: x"),
    ],
)
def test_models(desk: Desk, name: str, said: str) -> None:
    lines = lines_of(desk, f"--steering-model=odd_models:{name}", RIGHT, status=1)
    assert any(f"odd_models:{name}: calling it raised {said}" in line for line in lines), lines


def test_adapters_of_one_name_are_told_apart(desk: Desk) -> None:
    desk.write(odd_adapters=ADAPTERS)
    both = [f"--steering-adapter=odd_adapters:{name}" for name in ("One", "Other")]
    result = desk.run(MODEL, *both, *FEW, "--steering-report=r.json")
    named = ["same (odd_adapters:One)", "same (odd_adapters:Other)"]
    assert [row["adapter"] for row in desk.report("r.json")["models"]] == named
    assert sum(line.startswith(f"my_models:a with {name}: conforms") for line in result.outlines for name in named) == 2


def test_text_that_cannot_be_shown_is_escaped_and_cut_in_the_middle() -> None:
    assert printable("a\n\x1b\x9b\u202e\udc80é") == r"a\n\x1b\x9b\u202e\udc80é"
    assert printable("a" * 300 + "b" * 300, 90) == "a" * 60 + " … " + "b" * 30
    assert one_line(ValueError("a\n b\x07")) == r"ValueError: a b\x07"
    assert text_of(ValueError("a\nb")) == "a\nb"
