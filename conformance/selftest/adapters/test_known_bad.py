"""Known-bad adapters are caught, each by the requirement that names its bug, and its cause is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.known_bad import ALL, USES
from pytest_steering.fixtures.known_bad.honest import EVERYTHING

from conformance.selftest.adapters.known_bad_runs import known_bad_run, misnamed
from conformance.selftest.samples import sample
from pytest_steering.suite.catalogue import Asked

OF_MODELS = {
    "layers-found": "detection finds the layers or the model is refused: see architecture/test_detection.py",
    "layers-chain": "a fact of the model that no adapter changes",
    "hidden-size-measured": "a fact of the model that no adapter changes",
    "detection-repeats": "a fact of detection: see architecture/test_detection.py",
    "beats-random-direction": "not applicable to these untrained weights: see suite/test_trained.py",
    "consistent-across-cwes": "the same",
    "reproducible-experiment": "the same",
}
"""Requirements that none of these adapters breaks, and why."""


MATRIX = sample(ALL, 27, "KNOWN_BAD")
"""The adapters that are tried on every requirement, which takes long."""


QUICK = sample(ALL, 3, "KNOWN_BAD")
"""Those that each run of the tests asks for the one requirement; the slow tests ask the rest."""

REST = [adapter for adapter in ALL if adapter not in QUICK]


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return known_bad_run(tmp_path_factory.mktemp("known_bad"), adapters=QUICK)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return known_bad_run(tmp_path_factory.mktemp("known_bad"), adapters=MATRIX, KNOWN_BAD="all")


@pytest.mark.parametrize("adapter", QUICK, ids=lambda adapter: adapter.__name__)
def test_caught_by_the_requirement_that_names_it(adapter: Any, caught: dict[str, dict[str, Any]]) -> None:
    row = caught[f"tiny:llama {adapter.__name__}"]
    assert (row["verdict"], row["failed"]) == ("fails", {adapter.chiefly})


@pytest.mark.slow
def test_so_are_all_others_and_their_causes_are_named(tmp_path: Path) -> None:
    rows = known_bad_run(tmp_path, adapters=REST)
    found = {adapter.__name__: rows[f"tiny:llama {adapter.__name__}"]["failed"] for adapter in REST}
    assert found == {adapter.__name__: {adapter.chiefly} for adapter in REST}
    assert misnamed(rows, adapters=REST) == ({}, {})


@pytest.mark.slow
@pytest.mark.parametrize("adapter", MATRIX, ids=lambda adapter: adapter.__name__)
def test_breaks_exactly_these(adapter: Any, matrix: dict[str, dict[str, Any]]) -> None:
    cost = {adapter.chiefly} - EVERYTHING
    assert matrix[f"tiny:llama {adapter.__name__}"]["failed"] == adapter.breaks | cost


@pytest.mark.slow
def test_the_first_named_cause_is_right(matrix: dict[str, dict[str, Any]]) -> None:
    unknown, wrong = misnamed(matrix, adapters=MATRIX)
    assert wrong == {}
    assert len(unknown) <= 0.1 * len(MATRIX), unknown


def test_one_requirement_alone_names_the_cause(caught: dict[str, dict[str, Any]]) -> None:
    assert misnamed(caught, adapters=QUICK) == ({}, {})


def test_every_requirement_is_broken_by_one() -> None:
    broken = {name for adapter in ALL for name in (adapter.chiefly, *adapter.breaks)}
    broken |= {adapter.chiefly for adapter in USES if hasattr(adapter, "chiefly")}
    assert Asked().requirements.keys() - broken == OF_MODELS.keys()
