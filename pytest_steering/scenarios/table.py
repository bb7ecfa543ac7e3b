"""The table of the space, whole: every dimension with all its values, wherever they are made."""

from __future__ import annotations

from pytest_steering.scenarios import blocks, calls, generations, plans, prompts, states
from pytest_steering.scenarios.space import DIMENSIONS

__all__ = ["DIMENSIONS", "blocks", "calls", "generations", "plans", "prompts", "states"]
