"""How far a direction moves the answer in each weakness, beside a second mechanism, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_steering.evaluation.statistics import Interval


@dataclass(frozen=True)
class Effect:
    """The mean effect in one weakness, in nats, with its 95% interval over scenarios."""

    found: Interval
    wanted: Interval
    """The same by a second mechanism."""

    @classmethod
    def of(cls, found: Sequence[float], wanted: Sequence[float]) -> Effect:
        """The effects on each scenario, found and wanted."""
        from pytest_steering.evaluation.statistics import mean_interval  # noqa: PLC0415 (needs scipy)

        return cls(mean_interval(found), mean_interval(wanted))

    def as_wanted(self, slack: float) -> bool:
        """What is found lies in the interval of what is wanted, or no more than ``slack`` nats beside it."""
        low, high = self.wanted.low, self.wanted.high
        if low is None or high is None:
            low = high = self.wanted.estimate
        return low - slack <= self.found.estimate <= high + slack


def by_name(effects: Mapping[str, Effect]) -> dict[str, dict[str, Any]]:
    """The effects as the report carries them: ``nats``, ``low`` and ``high`` of each, and the second mechanism's."""
    return {
        name: {
            "nats": effect.found.estimate,
            "low": effect.found.low,
            "high": effect.found.high,
            "second_mechanism": effect.wanted.estimate,
        }
        for name, effect in effects.items()
    }
