"""pytest-steering: the conformance suite for activation steering.

The names below are imported on first use, so that a project that has the plugin installed and does not use it
never imports torch.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_steering.adapters.protocol import SteeringAdapter
    from pytest_steering.architecture.detection import detect_architecture
    from pytest_steering.architecture.model import Architecture
    from pytest_steering.checking import Failure, Report, check_adapter
    from pytest_steering.errors import AdapterError, ArchitectureError, SpecError, SteeringError, TargetError
    from pytest_steering.evaluation import UniversalSteeringConfig, UniversalSteeringExperiment
    from pytest_steering.steering.capability import Capability
    from pytest_steering.steering.plan import Positions, SteeringPlan
    from pytest_steering.suite.replay import Replay
    from pytest_steering.targets.target import Target, load_target

_CHECKOUT = Path(__file__).resolve().parents[1]
if (_CHECKOUT / "fixtures" / "__init__.py").is_file() and (_CHECKOUT / "pyproject.toml").is_file():
    # ``pytest_steering.fixtures`` lies in the package in a wheel, and beside it in a checkout.
    __path__.append(str(_CHECKOUT))

_HOMES = {
    "AdapterError": "errors",
    "Architecture": "architecture.model",
    "ArchitectureError": "errors",
    "Capability": "steering.capability",
    "Failure": "checking",
    "Positions": "steering.plan",
    "Replay": "suite.replay",
    "Report": "checking",
    "SpecError": "errors",
    "SteeringAdapter": "adapters.protocol",
    "SteeringError": "errors",
    "SteeringPlan": "steering.plan",
    "Target": "targets.target",
    "TargetError": "errors",
    "UniversalSteeringConfig": "evaluation.config",
    "UniversalSteeringExperiment": "evaluation.experiment",
    "check_adapter": "checking",
    "detect_architecture": "architecture.detection",
    "load_target": "targets.target",
}

__all__ = [
    "AdapterError",
    "Architecture",
    "ArchitectureError",
    "Capability",
    "Failure",
    "Positions",
    "Replay",
    "Report",
    "SpecError",
    "SteeringAdapter",
    "SteeringError",
    "SteeringPlan",
    "Target",
    "TargetError",
    "UniversalSteeringConfig",
    "UniversalSteeringExperiment",
    "check_adapter",
    "detect_architecture",
    "load_target",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
