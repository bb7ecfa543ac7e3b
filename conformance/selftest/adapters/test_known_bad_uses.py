"""Adapters that are right in plain uses and wrong in another are caught, each by a requirement of the uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.known_bad import USES
from pytest_steering.fixtures.known_bad.honest import Honest

from conformance.selftest.samples import sample_of_each
from conformance.selftest.verdicts_of import verdicts
from pytest_steering.suite.catalogue import catalogue

CAUGHT = [adapter for adapter in USES if hasattr(adapter, "chiefly")]
PLAIN = [adapter for adapter in CAUGHT if not adapter.shown]
"""Those that are caught on a plain model."""
ELSEWHERE = [adapter for adapter in CAUGHT if adapter.shown]
"""Those that need another model, or another dtype."""

UNCAUGHT = {
    "LayerCountFromTheConfig": "no model here has more layers than its config says",
    "OnceDifferentiable": "the unsteered model's attention has no second gradient either",
    "ScaleInFloat32": "the product may be made in float32 where the vector is",
    "ScaleAsANumber": "a plan's scale is a number: no gradient to it is promised",
    "OneThreadFromNowOn": "runs here have one thread from the beginning",
    "SetsUpLogging": "pytest has set up logging before",
}
"""Those that nothing catches here, and why."""

TRIED = sample_of_each(PLAIN, "chiefly", 4, "KNOWN_BAD_USES")
"""Of those that a requirement names every fourth, unless ``KNOWN_BAD_USES=all``: each requirement catches one."""


def run(path: Path, adapters: Sequence[type[Honest]], shown: str = "") -> dict[str, dict[str, Any]]:
    names = [f"--steering-adapter={adapter.__module__}:{adapter.__qualname__}" for adapter in adapters]
    plugin = ("-p", "pytest_steering.fixtures.known_bad.selecting")
    model = () if "model" in shown else ("--steering-model=tiny:llama",)
    found = verdicts(path / "report.json", *model, *filter(None, [shown]), *plugin, *names)
    return {name.rpartition(" ")[2]: row for name, row in found.items()}


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return run(tmp_path_factory.mktemp("uses"), TRIED)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", TRIED, ids=lambda adapter: adapter.__name__)
def test_caught_by_the_requirement_that_names_it(adapter: Any, caught: dict[str, dict[str, Any]]) -> None:
    assert caught[adapter.__name__]["failed"] == {adapter.chiefly}


@pytest.mark.slow
@pytest.mark.parametrize("shown", sorted({adapter.shown for adapter in ELSEWHERE}))
def test_caught_where_it_shows(shown: str, tmp_path: Path) -> None:
    adapters = [adapter for adapter in ELSEWHERE if adapter.shown == shown]
    found = {name: row["failed"] for name, row in run(tmp_path, adapters, shown).items()}
    assert found == {adapter.__name__: {adapter.chiefly} for adapter in adapters}


def test_those_that_are_not_caught_are_few() -> None:
    assert sorted(adapter.__name__ for adapter in USES if adapter not in CAUGHT) == sorted(UNCAUGHT)


def test_every_use_is_broken_by_one() -> None:
    uses = {each.id for each in catalogue().values() if each.group == "uses"}
    assert {adapter.chiefly for adapter in PLAIN} >= uses
