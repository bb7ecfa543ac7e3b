"""What was computed once, kept as long as there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")

MOST = 64 * 2**20
"""Bytes that one store keeps."""


class Store(Generic[Result]):
    """Results by key; where there is no more room, the one that was asked for longest ago goes first."""

    def __init__(self, size: Callable[[Result], int], most: int = MOST) -> None:
        """``size`` is the bytes of a result, and ``most`` those of all that is kept."""
        self._size = size
        self._most = most
        self._bytes = 0
        self._kept: OrderedDict[Hashable, Result] = OrderedDict()

    def once(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """What is kept under ``key``, or else what ``make`` returns."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = make()
        self._kept[key] = found
        self._bytes += self._size(found)
        while self._bytes > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= self._size(oldest)
        return found
