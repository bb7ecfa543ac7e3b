"""Hypothesis with a number of examples that the model's size decides, and no clock: every machine judges the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from torch import nn

from pytest_steering.targets.memory import SMALL, size

EXAMPLES = ((SMALL, 30), (300_000_000, 15))
"""Up to how many parameters there are how many examples; what takes longer has the fewest."""
FEWEST = 6

SCENARIOS = ((SMALL, 1000), (300_000_000, 18))
"""The same for scenarios of the covering array."""
FEWEST_SCENARIOS = 12

SESSIONS = ((SMALL, 30), (300_000_000, 6))
"""The same for sessions, each of a dozen passes."""
FEWEST_SESSIONS = 4


def examples_for(model: nn.Module) -> int:
    """How many examples a model is worth: a pass costs about as many multiplications for each token as it has
    parameters."""
    return _worth(model, EXAMPLES, FEWEST)


def scenarios_for(model: nn.Module) -> int:
    """How many scenarios of the covering array at most."""
    return _worth(model, SCENARIOS, FEWEST_SCENARIOS)


def sessions_for(model: nn.Module) -> int:
    """How many sessions are played."""
    return _worth(model, SESSIONS, FEWEST_SESSIONS)


def _worth(model: nn.Module, table: Sequence[tuple[int, int]], fewest: int) -> int:
    return next((number for most, number in table if size(model) <= most), fewest)


def fuzz(
    config: pytest.Config,
    check: Callable[..., None],
    *,
    model: nn.Module,
    **strategies: SearchStrategy[Any],
) -> None:
    """``check`` holds for every example that Hypothesis draws from ``strategies``; the smallest failure is raised.

    The number of examples follows from the size of ``model``, unless the user names a profile
    (``--hypothesis-profile``), whose ``max_examples`` then counts. Examples are derandomised, unless the user gives
    ``--hypothesis-seed``; nothing is stored.
    """
    profile = config.getoption("--hypothesis-profile", None)
    limits = settings(
        max_examples=settings.get_profile(profile).max_examples if profile else examples_for(model),
        derandomize=config.getoption("--hypothesis-seed", None) is None,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )

    def example(**drawn: Any) -> None:
        check(**drawn)

    limits(given(**strategies)(example))()
