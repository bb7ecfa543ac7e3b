"""A verdict does not depend on how fast the machine is: the size of the model decides how many examples are drawn."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from torch import nn

from conformance.selftest.places import ROOT
from pytest_steering import load_target
from pytest_steering.suite.fuzzing import (
    FEWEST,
    FEWEST_SCENARIOS,
    FEWEST_SESSIONS,
    examples_for,
    fuzz,
    scenarios_for,
    sessions_for,
)

JUDGES = [
    path
    for folder in ("conformance", "pytest_steering/architecture", "pytest_steering/oracle", "pytest_steering/suite")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "selftest" not in path.parts
]
"""All that decides a verdict."""
TIMED = {
    "conformance/test_engine.py",
    "conformance/test_hot_path.py",
    "pytest_steering/oracle/timing.py",
    "pytest_steering/oracle/work.py",
    "pytest_steering/suite/exploring.py",
}
"""What is about time, and what goes on for as long as it is told."""


class Config:
    """A run with these options of Hypothesis."""

    def __init__(self, **given: str) -> None:
        self._given = given

    def getoption(self, name: str, default: Any = None) -> Any:
        return self._given.get(name.removeprefix("--").replace("-", "_"), default)


def of_size(parameters: int) -> nn.Module:
    return nn.Linear(parameters, 1, bias=False, device="meta")


def drawn(config: Any, parameters: int) -> list[int]:
    """The examples of one run."""
    seen: list[int] = []

    def check(number: int) -> None:
        seen.append(number)

    fuzz(config, check, model=of_size(parameters), number=st.integers())
    return seen


@pytest.mark.parametrize(
    ("parameters", "examples"),
    [(1, 30), (30_000_000, 30), (30_000_001, 15), (300_000_000, 15), (300_000_001, FEWEST), (15_000_000_000, FEWEST)],
)
def test_the_number_of_parameters_decides(parameters: int, examples: int) -> None:
    assert examples_for(of_size(parameters)) == examples
    assert len(drawn(Config(), parameters)) == examples


def test_a_small_model_is_tried_in_full() -> None:
    model = load_target("tiny:llama").model
    assert examples_for(model) == 30
    assert scenarios_for(model) > 300, "more than a covering array has"


@pytest.mark.parametrize(
    ("parameters", "scenarios", "sessions"), [(135_000_000, 18, 6), (300_000_001, FEWEST_SCENARIOS, FEWEST_SESSIONS)]
)
def test_of_a_large_one_fewer_are_judged(parameters: int, scenarios: int, sessions: int) -> None:
    assert scenarios_for(of_size(parameters)) == scenarios
    assert sessions_for(of_size(parameters)) == sessions


def test_a_slow_machine_tries_the_same_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = drawn(Config(), 1)
    hours = iter(range(0, 10**9, 3600))
    for clock in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, clock, lambda: float(next(hours)))
    assert drawn(Config(), 1) == quick


def test_the_profile_of_the_user_comes_first() -> None:
    settings.register_profile("three", max_examples=3)
    for parameters in (1, 10**9):
        assert len(drawn(Config(hypothesis_profile="three"), parameters)) == 3


def test_a_seed_of_the_user_draws_others() -> None:
    usual = drawn(Config(), 1)
    assert drawn(Config(), 1) == usual
    assert drawn(Config(hypothesis_seed="1"), 1) != usual


def imported(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_nothing_that_judges_looks_at_a_clock() -> None:
    looking = {
        str(path.relative_to(ROOT))
        for path in JUDGES
        if any(
            name.partition(".")[0] in ("time", "timeit", "datetime") or ".oracle.timing" in name
            for name in imported(path.read_text(encoding="utf-8"))
        )
    }
    assert looking == TIMED
