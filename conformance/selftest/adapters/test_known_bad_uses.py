"""Adapters that are right in plain uses and wrong in another are caught, each by a requirement of the uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.known_bad import USES
from pytest_steering.fixtures.known_bad.honest import Honest

from conformance.selftest.verdicts_of import verdicts
from pytest_steering.suite.catalogue import catalogue

PLAIN = [adapter for adapter in USES if hasattr(adapter, "chiefly")]
"""Those that are caught on a plain model."""

TRIED = [
    adapter
    for number, adapter in enumerate(PLAIN)
    if adapter.chiefly != "all-pairs" or number % 4 == 0 or os.environ.get("KNOWN_BAD_USES") == "all"
]
"""Of those that only a pair of uses shows, which takes long, every fourth, unless ``KNOWN_BAD_USES=all``."""


def run(path: Path, adapters: list[type[Honest]], spec: str = "tiny:llama") -> dict[str, dict[str, Any]]:
    names = [f"--steering-adapter={adapter.__module__}:{adapter.__qualname__}" for adapter in adapters]
    plugin = ("-p", "pytest_steering.fixtures.known_bad.selecting")
    return verdicts(path / "report.json", f"--steering-model={spec}", *plugin, *names)


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return run(tmp_path_factory.mktemp("uses"), TRIED)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", TRIED, ids=lambda adapter: adapter.__name__)
def test_caught_by_the_requirement_that_names_it(adapter: Any, caught: dict[str, dict[str, Any]]) -> None:
    assert caught[f"tiny:llama {adapter.__name__}"]["failed"] == {adapter.chiefly}


def test_every_use_is_broken_by_one() -> None:
    uses = {each.id for each in catalogue().values() if each.group == "uses"}
    assert {adapter.chiefly for adapter in PLAIN} == uses
