"""Hypothesis within a budget: as many examples as some seconds of this model allow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

MOST, FEWEST = 30, 6


def fuzz(
    config: pytest.Config,
    check: Callable[..., None],
    *,
    seconds_per_example: float,
    seconds: float = 1.5,
    **strategies: SearchStrategy[Any],
) -> None:
    """``check`` holds for every example that Hypothesis draws from ``strategies``; the smallest failure is raised.

    The number of examples follows from the time one takes, unless the user names a profile
    (``--hypothesis-profile``), whose ``max_examples`` then counts. Examples are derandomised, unless the user gives
    ``--hypothesis-seed``; nothing is stored.
    """
    profile = config.getoption("--hypothesis-profile", None)
    if profile:
        examples = settings.get_profile(profile).max_examples
    else:
        examples = max(FEWEST, min(MOST, int(seconds / max(seconds_per_example, 1e-6))))
    limits = settings(
        max_examples=examples,
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
