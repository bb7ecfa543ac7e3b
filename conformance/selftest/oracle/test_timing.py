"""A ratio of times says no more than the noise allows."""

from __future__ import annotations

import random

import pytest

from pytest_steering.oracle.timing import Overhead


def pairs(factor: float, noise: float, seed: int) -> Overhead:
    """Fifteen pairs on a machine that makes any run up to ``noise`` times slower, and none quicker."""
    draw = random.Random(seed)
    return Overhead(tuple((factor * (1 + noise * draw.random()), 1 + noise * draw.random()) for _ in range(15)))


@pytest.mark.parametrize("seed", range(20))
def test_a_busy_machine_fails_no_right_adapter_and_hides_no_slow_one(seed: int) -> None:
    assert pairs(1.05, 4.0, seed).at_least < 1.6
    assert pairs(3.0, 1.0, seed).at_least > 1.6


def test_the_ratio_is_that_of_the_times_beside_it_and_lies_within_its_interval() -> None:
    found = pairs(1.3, 1.0, 0).as_json()
    assert found["ratio"] == found["steered_seconds"] / found["unsteered_seconds"]
    assert found["low"] < found["ratio"] < found["high"]
