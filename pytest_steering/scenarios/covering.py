"""Covering arrays: few scenarios in which every two values, and every three that interact most, come together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, combinations, islice, zip_longest
from typing import Any

from covertable import criteria, make

from pytest_steering.scenarios.space import Scenario
from pytest_steering.scenarios.table import DIMENSIONS

INTERACTING = (("positions", "padding", "memory"), ("positions", "padding", "run"))
"""The dimensions of which every three values come together: among forward passes, and among generations."""

Choices = dict[str, tuple[str, ...]]


def choices(can: Callable[[str], bool]) -> Choices:
    """The values of each dimension that go into an array, as far as a model and an adapter have what they need."""
    return {
        name: tuple(value.name for value in dim.values.values() if not value.alone and all(map(can, value.needs)))
        for name, dim in DIMENSIONS.items()
    }


def array(values: Choices, most: int | None = None) -> tuple[Scenario, ...]:
    """Scenarios that hold every possible pair of these values, and every triple of the interacting dimensions: among
    forward passes, and among generations.

    The same values give the same scenarios on every machine; those of fewer values come first. With ``most``, so many
    of them: those that hold the most pairs.
    """
    rows = chain.from_iterable(zip_longest(*map(_rows, parts(values), INTERACTING)))
    found = dict.fromkeys(Scenario.of(row) for row in rows if row)
    return tuple(sorted(islice(found, most), key=lambda scenario: len(scenario.values)))


def _rows(values: Choices, interacting: tuple[str, ...]) -> list[dict[str, str]]:
    """A covering array: the first rows hold the most pairs."""
    factors = {name: list(of) for name, of in values.items() if len(of) > 1}
    fields = [name for name in interacting if name in factors]
    strong: dict[str, Any] = {"sub_models": [{"fields": fields, "strength": 3}]} if len(fields) > 2 else {}
    return [{"run": values["run"][0], **row} for row in make(factors, strength=2, criterion=criteria.simple, **strong)]


def parts(values: Choices) -> list[Choices]:
    """The values that have a meaning together: those of forward passes, and those of generations."""
    generations = {
        name: tuple(value for value in of if not DIMENSIONS[name].values[value].forward) for name, of in values.items()
    }
    forward = {name: of[:1] if DIMENSIONS[name].generates or name == "run" else of for name, of in values.items()}
    generations["run"] = generations["run"][1:]
    return [forward, generations] if generations["run"] else [forward]


def pairs(values: Choices) -> int:
    """How many two of these values of different dimensions there are, among forward passes and among generations."""
    return sum(len(part[one]) * len(part[other]) for part in parts(values) for one, other in combinations(part, 2))


def pairs_in(scenarios: Sequence[Scenario], values: Choices) -> int:
    """How many of them come together in these scenarios."""
    found: set[frozenset[tuple[str, str]]] = set()
    for scenario in scenarios:
        kind = "generation" if scenario["run"] != DIMENSIONS["run"].plainest else "forward pass"
        chosen = [(name, scenario[name]) for name in values]
        found.update(frozenset((("", kind), *two)) for two in combinations(chosen, 2))
    return len(found)
