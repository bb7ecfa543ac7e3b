"""Fixtures of the plugin's own tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from conformance.selftest.desk import Desk, build_house

collect_ignore = ["standin"]


def pytest_configure(config: pytest.Config) -> None:
    """Each of several workers takes its share of the cores: threads that wait for one of another worker's take long."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        torch.set_num_threads(max(1, torch.get_num_threads() // workers))


@pytest.fixture(scope="session")
def houses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two ways in which the plugin comes to a user."""
    root = tmp_path_factory.mktemp("houses")
    return {kind: build_house(root / kind / "site-packages", wheel=kind == "wheel") for kind in ("wheel", "checkout")}


@pytest.fixture
def desk(
    request: pytest.FixtureRequest,
    pytester: pytest.Pytester,
    houses: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Desk:
    """An empty project; parametrise it with ``checkout`` to have the plugin installed in editable mode."""
    house = houses[getattr(request, "param", "wheel")]
    log = tmp_path_factory.mktemp("log") / "log.txt"
    monkeypatch.setenv("PYTHONPATH", str(house))
    monkeypatch.setenv("STANDIN_LOG", str(log))
    monkeypatch.setenv("COLUMNS", "80")
    for name in [name for name in os.environ if name.startswith("PYTEST_") or name in ("CI", "BUILD_NUMBER")]:
        monkeypatch.delenv(name)  # under CI pytest shows its short summary in full
    return Desk(pytester, house, log)
