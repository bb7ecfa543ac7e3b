"""A test that is not applicable leaves nothing behind for later tests."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import MODEL, RIGHT, TIMID, Desk

PROJECT = """
import unittest
import pytest

order = []

@pytest.fixture(scope="session", autouse=True)
def session_wide(): order.append("session"); yield

@pytest.fixture(scope="module", autouse=True)
def module_wide(): order.append("module"); yield

@pytest.fixture(autouse=True)
def always(): yield 1

@pytest.fixture
def derived(tmp_path, steering_batch): yield tmp_path

@pytest.mark.steering_model({options})
def test_lacks(steering_adapter, always, derived, tmp_path, steering_batch): assert 0

@pytest.mark.parametrize("x", [1, 2])
def test_plain(tmp_path, always, x): pass

def test_with_batch(steering_batch, derived): pass

@pytest.mark.steering_model({options})
class TestThese:
    def test_lacks(self, steering_adapter, tmp_path): assert 0

@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.steering_model({options}))])
def test_in_part(steering_adapter, x, tmp_path): assert x == 1

@pytest.mark.steering_model({options})
class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def given(self, steering_adapter, tmp_path): yield

    def test_lacks(self): assert 0

def test_last(tmp_path, always, steering_batch, derived): pass
"""


@pytest.mark.parametrize("options", ["min_layers=9", "needs=['trained']", "needs='beams'"])
def test_no_later_test_suffers(desk: Desk, options: str) -> None:
    desk.write(test_mine=PROJECT.format(options=options))
    result = desk.run(MODEL, TIMID, "test_mine.py", "-rs")
    assert result.parseoutcomes() == {"passed": 5, "skipped": 4}, result.stdout.str()
    assert result.ret == 0
    assert sum("not applicable: " in line for line in result.outlines) > 0


def test_nothing_is_set_up_for_a_test_that_is_not_applicable(desk: Desk) -> None:
    desk.write(
        test_mine="""
import pytest

@pytest.fixture(scope="session", autouse=True)
def first(): open("settings", "w").close()

@pytest.fixture(scope="module")
def costly(): raise AssertionError("set up for a test that is not applicable")

@pytest.fixture(autouse=True)
def too(): raise AssertionError("set up for a test that is not applicable")

@pytest.mark.steering_model(min_layers=9)
def test_mine(costly): pass
"""
    )
    result = desk.run(MODEL, RIGHT, "test_mine.py")
    assert result.parseoutcomes() == {"skipped": 1}, result.stdout.str()
    assert (desk.path / "settings").exists()
