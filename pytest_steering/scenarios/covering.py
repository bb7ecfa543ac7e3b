"""Covering arrays: few scenarios in which every two values, and every three that interact most, come together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

from covertable import criteria, make

from pytest_steering.scenarios.space import Scenario
from pytest_steering.scenarios.table import DIMENSIONS

INTERACTING = ("positions", "padding", "memory", "run")
"""The dimensions of which every three values come together."""

Choices = dict[str, tuple[str, ...]]


def choices(can: Callable[[str], bool]) -> Choices:
    """The values of each dimension that go into an array, as far as a model and an adapter have what they need."""
    return {
        name: tuple(value.name for value in dim.values.values() if not value.alone and all(map(can, value.needs)))
        for name, dim in DIMENSIONS.items()
    }


def array(values: Choices, most: int | None = None) -> tuple[Scenario, ...]:
    """Scenarios that hold every possible pair of these values, and every triple of the interacting dimensions.

    The same values give the same scenarios on every machine; those of fewer values come first. With ``most``, so many
    of them: those that hold the most pairs.
    """
    factors = {name: list(of) for name, of in values.items() if len(of) > 1}
    interacting = [name for name in INTERACTING if name in factors]
    strong: dict[str, Any] = {"sub_models": [{"fields": interacting, "strength": 3}]} if len(interacting) > 2 else {}
    rows = make(factors, strength=2, criterion=criteria.simple, **strong)
    return tuple(sorted(dict.fromkeys(map(Scenario.of, rows[:most])), key=lambda scenario: len(scenario.values)))


def pairs(values: Choices) -> int:
    """How many two of these values of different dimensions there are."""
    return sum(len(values[one]) * len(values[other]) for one, other in combinations(values, 2))


def pairs_in(scenarios: Sequence[Scenario], values: Choices) -> int:
    """How many of them come together in these scenarios."""
    found: set[frozenset[tuple[str, str]]] = set()
    for scenario in scenarios:
        found.update(map(frozenset, combinations([(name, scenario[name]) for name in values], 2)))
    return len(found)
