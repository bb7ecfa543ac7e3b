"""The fixture of an engine: started once on the checkpoint of each model, and closed when it is done with."""

# A project that never asks for a model must never pay for torch.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_steering.plugin.fixtures import ADAPTER_NAME, FAILURES
from pytest_steering.plugin.options import settings_of

if TYPE_CHECKING:
    from pytest_steering.engines.protocol import SteeringEngine
    from pytest_steering.targets.target import Target

NO_ENGINE = "no engine to run: name one with --steering-engine=NAME or module:attribute"

DIRECTORIES = pytest.StashKey[dict[str, Path]]()
"""Where engines find the checkpoint of each model."""


@pytest.fixture(scope="session")
def steering_engine(
    request: pytest.FixtureRequest, steering_model: Target, steering_checkpoint: Path
) -> Iterator[SteeringEngine]:
    """The engine under test, started on the checkpoint of the current model."""
    from pytest_steering.engines.registry import start_engine

    settings = settings_of(request.config)
    if not settings.engines:
        pytest.fail(NO_ENGINE, pytrace=False)
    name = getattr(request, "param", settings.engines[0])
    failures = request.config.stash[FAILURES]
    request.config.stash[ADAPTER_NAME] = name
    with failures.once(failures.adapters, (steering_model.spec, name)):
        engine = start_engine(name, steering_checkpoint, steering_model.architecture)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def steering_checkpoint(
    request: pytest.FixtureRequest, steering_model: Target, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The directory of the current model's checkpoint, written where the model was made in memory."""
    from pytest_steering.targets.directories import directory_of

    directories = request.config.stash.setdefault(DIRECTORIES, {})
    if steering_model.spec not in directories:
        trusted = settings_of(request.config).trust_remote_code
        fresh = tmp_path_factory.mktemp("checkpoint")
        directories[steering_model.spec] = directory_of(steering_model, fresh, trust_remote_code=trusted)
    return directories[steering_model.spec]
