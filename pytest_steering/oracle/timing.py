"""What steering costs, as a ratio within one run: the only figure that a noisy machine lets one assert."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch


@dataclass(frozen=True)
class Overhead:
    """The cost of a steered run beside an unsteered one, with what a machine's noise leaves open."""

    times: tuple[tuple[float, float], ...]
    """Seconds of each pair of runs: steered, unsteered."""

    @property
    def steered_seconds(self) -> float:
        """The median."""
        return statistics.median(one for one, _ in self.times)

    @property
    def unsteered_seconds(self) -> float:
        """The median."""
        return statistics.median(other for _, other in self.times)

    @property
    def ratio(self) -> float:
        """That of the two medians."""
        return self.steered_seconds / self.unsteered_seconds

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Where 99 of 100 ratios lie when the pairs are drawn again: a seeded bootstrap."""
        return self._drawn(lambda drawn: drawn.ratio)

    @cached_property
    def at_least(self) -> float:
        """The ratio that no noise explains: that of the quickest runs of both, and all ratios of their quicker quarters
        when the pairs are drawn again.

        A busy machine makes some runs slower and none quicker: it moves medians long before it moves quick runs.
        """
        return min(self._drawn(Overhead._of_quarters)[0], self.quickest)

    @property
    def quickest(self) -> float:
        """That of the quickest runs of both."""
        return min(one for one, _ in self.times) / min(other for _, other in self.times)

    def _of_quarters(self) -> float:
        quarter = len(self.times) // 4
        steered = sorted(one for one, _ in self.times)[quarter]
        return steered / sorted(other for _, other in self.times)[quarter]

    def _drawn(self, ratio: Callable[[Overhead], float]) -> tuple[float, float]:
        draw = random.Random(0)
        ratios = sorted(ratio(Overhead(tuple(draw.choices(self.times, k=len(self.times))))) for _ in range(400))
        return ratios[1], ratios[-2]

    def as_json(self) -> dict[str, Any]:
        """The figures that the report carries."""
        low, high = self.interval
        return {
            "ratio": self.ratio,
            "low": low,
            "high": high,
            "steered_seconds": self.steered_seconds,
            "unsteered_seconds": self.unsteered_seconds,
            "pairs": len(self.times),
        }


def seconds_of(run: Callable[[], Any], device: torch.device) -> float:
    """Wall seconds of one run, with everything queued on a GPU finished before and after."""
    _finish(device)
    start = time.perf_counter()
    run()
    _finish(device)
    return time.perf_counter() - start


def overhead(
    steered: Callable[[], float],
    unsteered: Callable[[], float],
    *,
    budget: float = math.inf,
    pairs: int = 15,
    enough_seconds: float = 1.0,
) -> Overhead:
    """Steered and unsteered runs in turn, each pair in the other order than the one before.

    Each function returns the seconds of one run (see ``seconds_of``), so that what it prepares is not counted: an
    unsteered run must be made outside the adapter's block. One pair to warm up; fewer pairs, but at least five, when
    they take longer than ``enough_seconds``; and where the ratio is above ``budget`` and noise could explain that, all
    of them, and more for twenty times as long.
    """
    for run in (unsteered, steered):
        run()
    times: list[tuple[float, float]] = []
    started = time.perf_counter()
    for number in range(20 * pairs):
        if number % 2:
            one, other = steered(), unsteered()
        else:
            other, one = unsteered(), steered()
        times.append((one, other))
        seconds = time.perf_counter() - started
        if number + 1 >= (5 if seconds > enough_seconds else pairs):
            now = Overhead(tuple(times))
            undecided = max(now.ratio, now._of_quarters(), now.quickest) > budget >= now.at_least
            if not undecided or (number + 1 >= pairs and seconds > 20 * enough_seconds):
                break
    return Overhead(tuple(times))


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
