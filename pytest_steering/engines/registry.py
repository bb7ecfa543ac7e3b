"""How an engine is found by name, and started on one checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_steering.engines.capability import EngineCapability
from pytest_steering.engines.protocol import Factory, SteeringEngine
from pytest_steering.errors import EngineError
from pytest_steering.naming import Kind

if TYPE_CHECKING:
    from pytest_steering.architecture.model import Architecture

GROUP = "pytest_steering.engines"

_ENGINE = Kind("engine", GROUP, "(directory, architecture) -> engine", EngineCapability, EngineError)
_METHODS = {"run": "run(requests)", "close": "close()"}


def find_engine(name: str) -> Factory:
    """The callable that starts the engine ``name``: an entry point, or ``module:attribute``.

    Raises ``SpecError`` with one sentence when there is none or it cannot be called.
    """
    return _ENGINE.find(name)


def look_up_engine(name: str) -> None:
    """``SpecError`` for an engine that is not there; one that is need not be importable."""
    _ENGINE.look_up(name)


def start_engine(name: str, directory: Path, architecture: Architecture) -> SteeringEngine:
    """The engine ``name`` on one checkpoint; ``EngineError`` when it cannot be started or breaks the protocol."""
    engine: SteeringEngine = _ENGINE.make(name, find_engine(name), directory, architecture, methods=_METHODS)
    return engine
