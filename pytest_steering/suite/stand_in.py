"""What an adapter is given, for a process without pytest-steering: a plan, an architecture, and names to import.

A bundle holds a copy of this file. It needs torch alone.
"""

import sys
import types
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Positions(StrEnum):
    """Which tokens are steered."""

    ALL = "all"
    LAST = "last"
    PROMPT = "prompt"
    GENERATED = "generated"


class _AnyWord(type):
    def __getattr__(cls, name: str) -> str:
        return name.lower()


class Capability(metaclass=_AnyWord):
    """Any capability is its own name."""


@dataclass(frozen=True, eq=False)
class SteeringPlan:
    """Vectors by decoder layer, a scale, and the positions that are steered."""

    vectors: dict[int, Any]
    scale: float = 1.0
    positions: Positions = Positions.ALL

    def check(self, architecture: Any) -> None:
        """The plan was checked before it was stored."""


class Architecture:
    """The decoder layers of a model, at the places where they were found."""

    def __init__(self, model: Any, *, names: list[str], **facts: Any) -> None:
        self.layers = tuple(map(model.get_submodule, names))
        self.num_layers = len(names)
        self.every_layer = range(len(names))
        vars(self).update(facts)


try:
    import pytest_steering  # noqa: F401
except ImportError:
    sys.modules["pytest_steering"] = module = types.ModuleType("pytest_steering")
    vars(module).update({each.__name__: each for each in (Architecture, Capability, Positions, SteeringPlan)})
