"""Known-bad engines are caught, each by the requirement that names its bug, and its cause is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.engines.known_bad import ALL
from pytest_steering.fixtures.engines.known_bad.selecting import LONG

from conformance.selftest.samples import sample
from conformance.selftest.verdicts_of import verdicts
from pytest_steering.suite.catalogue import Asked

UNBROKEN = {"agrees-unsteered": "an engine that is wrong unsteered cannot be judged: see test_judge"}
"""Requirements that none of these engines breaks, and why."""


MATRIX = sample(ALL, 3, "KNOWN_BAD")
"""The engines that are tried on every requirement, which takes long."""


def _run(directory: Path, engines: Sequence[Any], **environment: str) -> dict[str, dict[str, Any]]:
    names = [f"--steering-engine={engine.__module__}:{engine.__qualname__}" for engine in engines]
    plugin = "pytest_steering.fixtures.engines.known_bad.selecting"
    return verdicts(directory / "report.json", "--steering-model=tiny:llama", "-p", plugin, *names, **environment)


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return _run(tmp_path_factory.mktemp("known_bad_engines"), ALL)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return _run(tmp_path_factory.mktemp("known_bad_engines"), MATRIX, KNOWN_BAD="all")


def _row(found: dict[str, dict[str, Any]], engine: Any) -> dict[str, Any]:
    return found[f"tiny:llama {engine.name} {engine.version}"]


@pytest.mark.parametrize("engine", ALL, ids=lambda engine: engine.__name__)
def test_caught_by_the_requirement_that_names_it(engine: Any, caught: dict[str, dict[str, Any]]) -> None:
    row = _row(caught, engine)
    assert row["kind"] == "engine"
    assert row["verdict"] == "fails"
    assert row["failed"] == {engine.chiefly}
    assert row["cause"] == engine.cause.value


@pytest.mark.slow
@pytest.mark.parametrize("engine", MATRIX, ids=lambda engine: engine.__name__)
def test_breaks_exactly_these(engine: Any, matrix: dict[str, dict[str, Any]]) -> None:
    assert _row(matrix, engine)["failed"] == engine.breaks | {engine.chiefly}


def test_every_requirement_is_broken_by_one() -> None:
    broken = {name for engine in ALL for name in (engine.chiefly, *engine.breaks)}
    assert Asked(engines=True).requirements.keys() - broken == UNBROKEN.keys()
    assert {engine.chiefly for engine in ALL} >= set(LONG)
