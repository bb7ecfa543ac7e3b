"""Tests of the standard library's kind: each method runs on one model, the one that its marker or the run names."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import MODEL, RIGHT, TIMID, Desk

CASES = """
import unittest
import pytest

class Base(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def given(self, steering_model, steering_adapter):
        self.spec, self.adapter = steering_model.spec, steering_adapter.name

@pytest.mark.steering_model("my_models:b")
class TestB(Base):
    def test_it(self): self.assertEqual(self.spec, "my_models:b")

@pytest.mark.steering_model("my_models:c")
class TestC(Base):
    def test_it(self): self.assertEqual(self.spec, "my_models:c")
    @pytest.mark.steering_model("my_models:d")
    def test_another(self): self.assertEqual(self.spec, "my_models:d")

class TestDerived(TestC):
    def test_derived(self): self.assertEqual(self.spec, "my_models:c")

@pytest.mark.steering_model("my_models:b")
class TestAlone(unittest.TestCase):
    def test_it(self): pass
"""


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "1")], ids=" ".join)
def test_the_marker_names_the_model(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.write(test_mine=CASES)
    assert desk.run("test_mine.py", *workers).parseoutcomes() == {"passed": 7}
    assert desk.loaded() == ["b", "c", "d"]


def test_the_run_names_the_model(desk: Desk) -> None:
    desk.write(test_mine=CASES.replace('("my_models:b")', "").replace('"my_models:b"', '"my_models:a"'))
    assert desk.run(MODEL, "test_mine.py", "-k", "TestB or TestAlone").parseoutcomes()["passed"] == 2


def test_without_a_model_it_is_said_what_to_type(desk: Desk) -> None:
    desk.write(test_mine=CASES.replace('("my_models:b")', ""))
    result = desk.run("test_mine.py", "-k", "TestB")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["no model to run on: type --steering-model=SPEC (for example *"])


@pytest.mark.parametrize(
    ("marker", "args", "named"),
    [
        ('("my_models:b", "my_models:c")', (), "my_models:b, my_models:c"),
        ("", (MODEL, "--steering-model=my_models:d"), "my_models:a, my_models:d"),
        ('("my_models:b")', (RIGHT, TIMID), "my_models:b with my_steering:Right, my_models:b with my_steering:Timid"),
    ],
)
def test_several_are_refused(desk: Desk, marker: str, args: tuple[str, ...], named: str) -> None:
    desk.write(test_mine=CASES.replace('("my_models:b")', marker, 1))
    result = desk.run(*args, "test_mine.py", "-k", "TestB")
    assert result.ret == 1
    assert (
        "test_mine.py::TestB::test_it is a method of unittest.TestCase, which pytest runs once, and not on each of "
        f"{named}: name one of them, or derive the class from nothing"
    ) in result.stdout.str().replace("\n", "")
    assert desk.loaded() == []
