"""What was computed once, kept as long as there is room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")

MOST = 64 * 2**20
"""Bytes that one store keeps."""


class Store(Generic[Result]):
    """Results by key; where there is no more room, the one goes first that was asked for least often, and of those the
    oldest."""

    def __init__(self, size: Callable[[Result], int], most: int = MOST) -> None:
        """``size`` is the bytes of a result, and ``most`` those of all that is kept."""
        self._size = size
        self._most = most
        self._bytes = 0
        self._kept: dict[Hashable, Result] = {}
        self._asked: Counter[Hashable] = Counter()

    def once(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """What is kept under ``key``, or else what ``make`` returns."""
        self._asked[key] += 1
        if key in self._kept:
            return self._kept[key]
        found = make()
        size = self._size(found)
        if size > self._most:
            return found
        self._kept[key] = found
        self._bytes += size
        while self._bytes > self._most:
            least = min(self._kept, key=self._asked.__getitem__)
            self._bytes -= self._size(self._kept.pop(least))
        return found
