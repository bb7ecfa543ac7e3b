"""Scenes: slices of the space that deserve a sentence of their own, and which of them a large model is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product

from pytest_steering.scenarios.space import Scenario
from pytest_steering.scenarios.table import DIMENSIONS

Used = Counter[tuple[str, str]]
"""How often each value of a dimension was judged."""


def most_telling(scenarios: Sequence[Scenario], used: Used) -> int | None:
    """Where the scenario stands that a large model is asked next: it has a value that was not judged yet, and for the
    rest those that were judged least; ``None`` when every value was."""
    names = {name for scenario in scenarios for name, _ in scenario.values}
    fresh = [at for at, scenario in enumerate(scenarios) if not all(used[value] for value in scenario.values)]
    return min(fresh, key=lambda at: sum(used[name, scenarios[at][name]] for name in names), default=None)


def count(scenario: Scenario, used: Used) -> None:
    """The scenario was judged, with each of its values."""
    used.update((name, scenario[name]) for name in DIMENSIONS)


def scenes(dimension: str, *, only: str = "", but: str = "", **others: tuple[str, ...]) -> Iterator[Scenario]:
    """One scenario for each value of a dimension but the plainest, with each combination of values of ``others``.

    ``only`` and ``but`` are values separated by spaces.
    """
    dim = DIMENSIONS[dimension]
    wanted = only.split() or [name for name in dim.values if name not in {dim.plainest, *but.split()}]
    for value in wanted:
        for chosen in product(*others.values()):
            yield Scenario.of({dimension: value, **dict(zip(others, chosen, strict=True))})
