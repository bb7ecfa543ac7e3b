"""Values that belong together: the sum and the size of each cluster, in the order in which clusters first appear."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clusters:
    """The sum of the values in each cluster and their number: two arrays of shape ``(clusters,)``."""

    names: tuple[Hashable, ...]
    sums: Array
    sizes: Array

    def __len__(self) -> int:
        return len(self.names)

    @property
    def means(self) -> Array:
        """The mean of each cluster, of shape ``(clusters,)``."""
        return self.sums / self.sizes

    @property
    def mean(self) -> float:
        """The mean of all values, each counted once."""
        return float(self.sums.sum() / self.sizes.sum())


def cluster(values: Sequence[float] | Array, clusters: Sequence[Hashable] | None = None) -> Clusters:
    """The values gathered by cluster; without ``clusters`` each value is one of its own.

    Raises ``ValueError`` for no values, for a NaN or infinity, and where the two differ in length.
    """
    numbers = finite("values", values)
    names: list[Any] = list(range(len(numbers))) if clusters is None else list(clusters)
    if len(names) != len(numbers):
        raise ValueError(f"there are {len(numbers)} values and {len(names)} cluster names; give one name per value")
    places: dict[Hashable, int] = {}
    which = [places.setdefault(name, len(places)) for name in names]
    sums = np.bincount(which, weights=numbers).astype(np.float64)
    sizes = np.bincount(which).astype(np.float64)
    return Clusters(tuple(places), sums, sizes)


def finite(name: str, values: Sequence[float] | Sequence[Sequence[float]] | Array) -> Array:
    """The values as float64, at least one and all of them finite; ``ValueError`` names the first that is not."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.size == 0:
        raise ValueError(f"{name}: there are none, so nothing can be said of them")
    wrong = np.argwhere(~np.isfinite(numbers))
    if len(wrong):
        where = ", ".join(str(index) for index in wrong[0])
        raise ValueError(
            f"{name}: the value at {where} is {numbers[tuple(wrong[0])]}; leave it out or measure it again"
        )
    return numbers
