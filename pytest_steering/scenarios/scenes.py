"""Scenes: slices of the space that deserve a sentence of their own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from pytest_steering.scenarios.space import Scenario
from pytest_steering.scenarios.table import DIMENSIONS


def scenes(dimension: str, *, only: str = "", but: str = "", **others: tuple[str, ...]) -> Iterator[Scenario]:
    """One scenario for each value of a dimension but the plainest, with each combination of values of ``others``.

    ``only`` and ``but`` are values separated by spaces.
    """
    dim = DIMENSIONS[dimension]
    wanted = only.split() or [name for name in dim.values if name not in {dim.plainest, *but.split()}]
    for value in wanted:
        for chosen in product(*others.values()):
            yield Scenario.of({dimension: value, **dict(zip(others, chosen, strict=True))})
