"""What answers consist of: a shift of the yes-rate is not a gain in accuracy, and a slope is not a step."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from pytest_steering.evaluation.statistics import (
    Array,
    Interval,
    by_scenario,
    equal,
    mean_interval,
    share_interval,
)

COIN = 0.25
"""The share of pairs with both files right that a coin has."""


@dataclass(frozen=True)
class Behaviour:
    """What a model answers on pairs of a vulnerable file and its patch, in numbers that say different things.

    ``yes_rate`` is the share of files called vulnerable, ``pair_accuracy`` the share of pairs with both files right,
    and ``discrimination`` the mean amount in nats by which the vulnerable file is called vulnerable more than its
    patch. A bias moves the first alone. ``accuracy`` counts files, ``ordered`` the pairs whose files stand in the
    right order whatever the bias.
    """

    yes_rate: Interval
    accuracy: Interval
    pair_accuracy: Interval
    discrimination: Interval
    ordered: Interval

    @property
    def at_chance(self) -> bool:
        """A coin could have had as many pairs right, or more: nothing about accuracy follows."""
        return self.pair_accuracy.low is None or self.pair_accuracy.low <= COIN

    @property
    def ranks(self) -> bool:
        """The vulnerable file is called vulnerable more than its patch, more often than a coin would have it."""
        return self.ordered.low is not None and self.ordered.low > 0.5

    def __str__(self) -> str:
        return (
            f"says yes to {self.yes_rate.estimate:.0%}, has both files right in {self.pair_accuracy.estimate:.0%} "
            f"of pairs, tells a file from its patch by {self.discrimination.estimate:+.2f} nats"
        )


@dataclass(frozen=True)
class Shift:
    """What changed from one behaviour to another on the same pairs.

    ``answer`` is the mean shift in nats towards "vulnerable"; the others are as in :class:`Behaviour`. Changes of
    shares have no interval, since t intervals of them cover as little as 89%: McNemar's test is for them.
    """

    answer: Interval
    yes_rate: float
    pair_accuracy: float
    discrimination: Interval

    def __str__(self) -> str:
        moved = (
            f"moves the answer by {self.answer.estimate:+.2f} nats, the yes-rate by {self.yes_rate:+.0%}, "
            f"pair accuracy by {self.pair_accuracy:+.0%} and discrimination by {self.discrimination.estimate:+.2f} nats"
        )
        return moved if self.discrimination.excludes_zero else f"{moved}, which cannot be told from none"


Sides = tuple[Array, Array]
"""logp("vulnerable") - logp("secure") in nats of the vulnerable files and of their patches, one number per pair."""


def behaviour(answers: Sides, scenarios: Sequence[Hashable] | None = None) -> Behaviour:
    """What the answers to pairs say."""
    parts = _parts(answers)
    return Behaviour(
        discrimination=mean_interval(parts["discrimination"], scenarios),
        **{
            name: share_interval(parts[name], scenarios)
            for name in ("yes_rate", "accuracy", "pair_accuracy", "ordered")
        },
    )


def shift(before: Sides, after: Sides, scenarios: Sequence[Hashable] | None = None) -> Shift:
    """What changed between two runs over the same pairs."""
    was, now = _parts(before), _parts(after)
    change = {name: now[name] - was[name] for name in now}
    return Shift(
        answer=mean_interval(change["answer"], scenarios),
        yes_rate=float(by_scenario(change["yes_rate"], scenarios).mean()),
        pair_accuracy=float(by_scenario(change["pair_accuracy"], scenarios).mean()),
        discrimination=mean_interval(change["discrimination"], scenarios),
    )


def both_right(answers: Sides) -> Array:
    """Whether both files of each pair are answered rightly."""
    return np.asarray((answers[0] > 0) & (answers[1] <= 0))


def _parts(answers: Sides) -> dict[str, Array]:
    """Each measure per pair: its mean is the measure."""
    vulnerable, patched = (np.asarray(side, dtype=np.float64) for side in answers)
    yes, no = vulnerable > 0, patched <= 0
    return {
        "answer": (vulnerable + patched) / 2,
        "yes_rate": (yes.astype(float) + (patched > 0)) / 2,
        "accuracy": (yes.astype(float) + no) / 2,
        "pair_accuracy": (yes & no).astype(float),
        "discrimination": vulnerable - patched,
        "ordered": (vulnerable > patched).astype(float),
    }


@dataclass(frozen=True)
class Slopes:
    """How each sample's answer follows the ``doses``.

    ``values`` holds the least-squares slope of every sample, ``mean`` their mean, ``backwards`` the share of samples
    with a negative one. ``trend`` is the p-value of Page's test that the answer rises with every dose, over
    scenarios; ``None`` below three doses, three scenarios or where nothing varies.
    """

    doses: tuple[float, ...]
    values: tuple[float, ...]
    mean: Interval
    backwards: Interval
    trend: float | None

    def __str__(self) -> str:
        rising = "" if self.trend is None else f"; rising with dose: Page p = {self.trend:.2g}"
        over = f"slope over doses {', '.join(f'{dose:g}' for dose in self.doses)}"
        return f"{over}: {self.mean} per unit of dose; {self.backwards.estimate:.0%} of samples steer backwards{rising}"


def slopes(doses: Sequence[float], answers: Any, scenarios: Sequence[Hashable] | None = None) -> Slopes:
    """The slopes of ``answers``, of shape ``(samples, doses)``, over ``doses``, which rise.

    Use doses where the answer still follows them, up to about 0.3 of the residual's norm: beyond, it saturates and
    the slope says less.
    """
    table = np.asarray(answers, dtype=np.float64)
    values = np.polynomial.polynomial.polyfit(doses, table.T, 1)[1]
    means = np.stack([by_scenario(column, scenarios) for column in table.T], axis=1)
    trend = None
    if min(means.shape) >= 3 and not equal(means):
        trend = float(stats.page_trend_test(means, method="asymptotic" if len(means) > 12 else "auto").pvalue)
    return Slopes(
        doses=tuple(doses),
        values=tuple(float(value) for value in values),
        mean=mean_interval(values, scenarios),
        backwards=share_interval((values < 0).astype(float), scenarios),
        trend=trend,
    )
