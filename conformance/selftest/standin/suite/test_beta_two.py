"""The second group of the stand-in suite."""

from collections.abc import Callable
from typing import Any

import pytest

from pytest_steering.oracle.applicability import not_applicable


@pytest.mark.steering_requirement(id="same-twice")
def test_same_twice(harness: Any) -> None:
    """Two runs are the same."""
    harness.steer(1)


@pytest.mark.steering_requirement(id="overhead")
def test_overhead(harness: Any, record_property: Callable[[str, object], None]) -> None:
    """Steering costs little."""
    if not harness.capabilities:
        not_applicable("nothing to measure")
    record_property("steering_overhead", '{"ratio": 1.5}')


def helper() -> None:
    raise AssertionError("no test")
