from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conformance.selftest.evaluation.secllmholmes import plant_clone
from pytest_steering.evaluation.scenarios import Dataset, load_secllmholmes


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plant_clone(tmp_path_factory.mktemp("secllmholmes") / "clone")


@pytest.fixture(scope="session")
def dataset(whole: Path) -> Dataset:
    return load_secllmholmes(whole)


@pytest.fixture
def clone(whole: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole, tmp_path / "clone"))
