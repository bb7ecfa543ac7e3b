"""Which of the suite's tests a run is made of, counted where they are collected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_steering.subject import clause_of
from pytest_steering.suite import is_suite_item


@dataclass
class Selection:
    """How many tests each requirement has in this run, and which requirements lost some to a selection."""

    collected: Counter[str] = field(default_factory=Counter)
    reduced: set[str] = field(default_factory=set)

    def take(self, items: Sequence[pytest.Item]) -> None:
        """These tests are going to run."""
        self.collected = Counter(clause_of(item).id for item in items if is_suite_item(item))

    def drop(self, items: Sequence[pytest.Item]) -> None:
        """These tests were deselected."""
        self.reduced.update(clause_of(item).id for item in items if is_suite_item(item))

    def dump(self) -> dict[str, Any]:
        """The selection as a worker of pytest-xdist sends it."""
        return {"collected": dict(self.collected), "reduced": sorted(self.reduced)}

    def load(self, dump: dict[str, Any]) -> None:
        """The selection of a worker is that of the run: all workers collect the same."""
        self.collected = Counter(dump["collected"])
        self.reduced.update(dump["reduced"])
