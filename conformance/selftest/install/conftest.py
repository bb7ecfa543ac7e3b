"""The wheel and the environments that it is tried in, made once for each worker."""

from __future__ import annotations

import pytest

from .environment import Environment, Wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    """The wheel of this checkout."""
    return Wheel.build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def bare(wheel: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What ``pip install pytest-steering`` gives."""
    return Environment.create(tmp_path_factory.mktemp("bare"), wheel)


@pytest.fixture(scope="session")
def full(wheel: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The same with the extras that the README's commands need."""
    return Environment.create(
        tmp_path_factory.mktemp("full"), wheel, "benchmark", "device-map", "nnsight", "study", "xdist"
    )
