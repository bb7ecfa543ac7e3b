"""Fixtures of the plugin's own tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from conformance.selftest.desk import Desk, new_desk


def pytest_configure(config: pytest.Config) -> None:
    """Each of several workers takes its share of the cores, and so do the processes that it starts: threads that wait
    for one of another worker's take long.

    The runs that are tested know nothing of a job that this one is a step of.
    """
    os.environ.pop("GITHUB_ACTIONS", None)
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        share = max(1, torch.get_num_threads() // workers)
        torch.set_num_threads(share)
        os.environ["OMP_NUM_THREADS"] = str(share)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A user's project that the plugin is installed for."""
    return new_desk(tmp_path)


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A user's project for what several tests read of one run."""
    return new_desk(tmp_path_factory.mktemp("project"))
