"""Sessions are explored: a few that are the same everywhere, or new ones for as long as somebody likes."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

STEPS = 8
"""Of one session."""
ROUND = 40
"""Sessions that are tried before a look at the clock."""
KEPT = ".steering-fuzz"
"""The directory below the project in which failing sessions are kept."""


def explore(config: pytest.Config, machine: type[RuleBasedStateMachine], *, examples: int, minutes: float = 0) -> None:
    """No session of ``machine`` fails; the shortest that does is raised.

    Without ``minutes`` the same ``examples`` sessions run everywhere. With them, other sessions run each time until
    the time is over, and those that failed before run first.
    """
    fixed = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        derandomize=True,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    if not minutes:
        run_state_machine_as_test(machine, settings=fixed)
        return
    kept = DirectoryBasedExampleDatabase(Path(config.rootpath) / KEPT)
    end, number = time.monotonic() + 60 * minutes, random.randrange(2**32)
    while True:
        explored = settings(
            fixed,
            max_examples=ROUND,
            derandomize=False,
            database=kept,
            phases=(Phase.reuse, Phase.generate, Phase.shrink),
        )
        run_state_machine_as_test(seed(number)(machine), settings=explored)
        number += 1
        if time.monotonic() > end:
            return
