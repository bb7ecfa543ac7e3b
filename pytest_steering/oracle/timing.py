"""What steering costs, as a ratio within one run: the only figure that a noisy machine lets one assert."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Overhead:
    """The cost of a steered run beside an unsteered one."""

    ratio: float
    """Median of the ratios steered / unsteered, pair by pair."""
    steered_seconds: float
    unsteered_seconds: float
    pairs: int

    def as_json(self) -> dict[str, float]:
        """The figures that the report carries."""
        return asdict(self)


def seconds_of(run: Callable[[], Any], device: torch.device) -> float:
    """Wall seconds of one run, with everything queued on a GPU finished before and after."""
    _finish(device)
    start = time.perf_counter()
    run()
    _finish(device)
    return time.perf_counter() - start


def overhead(
    steered: Callable[[], float], unsteered: Callable[[], float], *, pairs: int = 15, enough_seconds: float = 2.0
) -> Overhead:
    """Steered and unsteered runs in turn, each pair in the other order than the one before.

    Each function returns the seconds of one run (see ``seconds_of``), so that what it prepares is not counted: an
    unsteered run must be made outside the adapter's block. One pair to warm up; fewer pairs, but at least three, when
    they take longer than ``enough_seconds``.
    """
    for run in (unsteered, steered):
        run()
    times: list[tuple[float, float]] = []
    started = time.perf_counter()
    for number in range(pairs):
        if number % 2:
            one, other = steered(), unsteered()
        else:
            other, one = unsteered(), steered()
        times.append((one, other))
        if number >= 2 and time.perf_counter() - started > enough_seconds:
            break
    return Overhead(
        statistics.median(one / other for one, other in times),
        statistics.median(one for one, _ in times),
        statistics.median(other for _, other in times),
        len(times),
    )


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
