"""Known failures: their tests may fail, and one that fails no more is reported."""

from __future__ import annotations

import pytest

from pytest_steering.plugin.collection import Selection
from pytest_steering.plugin.options import settings_of
from pytest_steering.report.model import Outcome, Record

KNOWN = pytest.StashKey[dict[str, str]]()


def known_failures(config: pytest.Config) -> dict[str, str]:
    """The reason of each known failure, by requirement id."""
    if KNOWN not in config.stash:
        lines = (line.partition(":") for line in settings_of(config).known_failures)
        config.stash[KNOWN] = {name.strip(): reason.strip() for name, _, reason in lines}
    return config.stash[KNOWN]


def stale(config: pytest.Config, record: Record, selection: Selection) -> list[str]:
    """The known failures whose requirements passed: all of their tests ran and none failed."""
    if getattr(config.option, "lf", False) or any("[" in argument for argument in config.args):
        return []
    found = []
    for name in known_failures(config):
        outcomes = [result.outcome for result in record.judged if result.id == name]
        whole = len(outcomes) == selection.collected[name] and name not in selection.reduced
        if whole and Outcome.PASSED in outcomes and set(outcomes) <= {Outcome.PASSED, Outcome.NOT_APPLICABLE}:
            found.append(name)
    return found
