"""The study: does steering do what its vectors were made for?

The judge needs nothing but Python; the experiment, with torch and scipy, is imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# At once, because the function has its module's name: importing the module later would put it in the function's place.
from pytest_steering.evaluation.judge import Judgement, evaluate_secllmholmes_response, judge

if TYPE_CHECKING:
    from pytest_steering.evaluation.config import UniversalSteeringConfig
    from pytest_steering.evaluation.experiment import UniversalSteeringExperiment
    from pytest_steering.evaluation.scenarios import load_secllmholmes

_HOMES = {
    "UniversalSteeringConfig": "config",
    "UniversalSteeringExperiment": "experiment",
    "load_secllmholmes": "scenarios",
}

__all__ = [
    "Judgement",
    "UniversalSteeringConfig",
    "UniversalSteeringExperiment",
    "evaluate_secllmholmes_response",
    "judge",
    "load_secllmholmes",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
