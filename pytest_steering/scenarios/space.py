"""The space of uses: dimensions, the values of each, and scenarios, which are points of it.

A value is one entry: a name, what it says, what it needs, and the function that makes it. Everything that goes through
the space (named scenes, covering arrays, sessions, the search for a cause) reads this table and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Make = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Value:
    """One way in which people use a steered model, apart from the plainest one."""

    name: str
    says: str
    """What a failure says that it is "with": ``left padding``."""
    make: Make
    needs: tuple[str, ...] = ()
    """Names of capabilities, and of what a model must have."""
    alone: bool = False
    """It has a scene of its own, and no part in the covering arrays: it takes long, or interacts with nothing."""
    forward: bool = False
    """It shows in a forward pass alone, and has no part in the array of generations."""


@dataclass(frozen=True, eq=False)
class Dimension:
    """One question about a use; the first value is the plainest answer."""

    name: str
    values: dict[str, Value] = field(default_factory=dict)
    generates: bool = False
    """It is a question about generations alone."""

    @property
    def plainest(self) -> str:
        """The value that a scenario has when it says nothing."""
        return next(iter(self.values))

    def value(
        self,
        says: str,
        *,
        name: str = "",
        needs: tuple[str, ...] = (),
        alone: bool = False,
        forward: bool = False,
    ) -> Callable[[Make], Make]:
        """The decorated function makes a value of this dimension; it is called as the function is, or ``name``.

        Every value goes together with every value of another dimension; where two have no meaning together, one of
        them changes nothing.
        """

        def add(make: Make) -> Make:
            called = name or make.__name__.strip("_").replace("_", "-")
            self.values[called] = Value(called, says, make, needs, alone, forward)
            return make

        return add

    def make(self, value: str) -> Make:
        """The function that makes a value."""
        return self.values[value].make


DIMENSIONS: dict[str, Dimension] = {}
"""Every dimension by name, in the order in which a person would ask."""


def dimension(name: str, *, generates: bool = False) -> Dimension:
    """A new dimension of the space; with ``generates``, of that of generations alone."""
    made = DIMENSIONS[name] = Dimension(name, generates=generates)
    return made


@dataclass(frozen=True)
class Scenario:
    """How the steered model is used: the values that are not the plainest, in the order of the dimensions."""

    values: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, chosen: Mapping[str, str] | None = None, **more: str) -> Scenario:
        """The scenario with these values; ``KeyError`` for one that is not in the table."""
        wanted = {**(chosen or {}), **more}
        for name, value in wanted.items():
            DIMENSIONS[name].values[value]
        return cls(
            tuple(
                (name, wanted[name])
                for name, dim in DIMENSIONS.items()
                if wanted.get(name, dim.plainest) != dim.plainest
            )
        )

    def __getitem__(self, name: str) -> str:
        """The value of a dimension."""
        return dict(self.values).get(name) or DIMENSIONS[name].plainest

    def plain(self, name: str) -> Scenario:
        """The same with the plainest value of one dimension."""
        return Scenario(tuple((key, value) for key, value in self.values if key != name))

    @property
    def needs(self) -> tuple[str, ...]:
        """Everything that its values need."""
        found = (need for value in self.chosen() for need in value.needs)
        return tuple(dict.fromkeys(found))

    def chosen(self) -> Iterator[Value]:
        """The table's entries of its values."""
        return (DIMENSIONS[name].values[value] for name, value in self.values)

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """Its dimensions and values without what others of them imply: beam search says that something is generated."""
        implied = any(DIMENSIONS[name].generates for name, _ in self.values)
        return tuple(each for each in self.values if not (implied and each == ("run", "generate")))

    def __str__(self) -> str:
        """The values in words: ``left padding, beam search``."""
        return ", ".join(DIMENSIONS[name].values[value].says for name, value in self.told) or "the plainest use"
