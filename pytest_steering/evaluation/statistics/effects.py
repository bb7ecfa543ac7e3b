"""How large an effect is, and what it consists of: a shift of the yes-rate is not a gain in accuracy."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_steering.evaluation.statistics.clusters import Array, finite
from pytest_steering.evaluation.statistics.intervals import Interval, mean_interval


def cohens_g(gained: int, lost: int) -> float | None:
    """Cohen's g, from -0.5 to 0.5: the share gained among the changed cases, minus a half; ``None`` without any."""
    return gained / (gained + lost) - 0.5 if gained + lost else None


def matched_odds_ratio(gained: int, lost: int) -> float | None:
    """The matched odds ratio, gained to lost: infinite when nothing was lost, ``None`` when nothing changed."""
    if not gained + lost:
        return None
    return gained / lost if lost else float("inf")


def standardised_mean_difference(differences: Sequence[float] | Array) -> float | None:
    """The mean of paired differences in units of their standard deviation; ``None`` when they do not vary."""
    numbers = finite("differences", differences)
    if len(numbers) < 2:
        return None
    # Rounding alone makes equal numbers vary a little.
    deviation = float(numbers.std(ddof=1))
    return float(numbers.mean()) / deviation if deviation > 1e-12 * float(np.abs(numbers).max()) else None


@dataclass(frozen=True)
class Behaviour:
    """What a model answers on pairs of a vulnerable file and its patch, in three numbers that say different things.

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

    def __str__(self) -> str:
        return (
            f"says yes to {self.yes_rate.estimate:.0%}, has both files right in {self.pair_accuracy.estimate:.0%} "
            f"of pairs, tells a file from its patch by {self.discrimination.estimate:+.2f} nats"
        )


@dataclass(frozen=True)
class Shift:
    """What changed from one behaviour to another on the same pairs, each with an interval over clusters.

    ``answer`` is the mean shift in nats towards "vulnerable"; the others are as in :class:`Behaviour`.
    """

    answer: Interval
    yes_rate: Interval
    pair_accuracy: Interval
    discrimination: Interval

    def __str__(self) -> str:
        moved = f"moves the answer by {self.answer.estimate:+.2f} nats, the yes-rate by {self.yes_rate.estimate:+.0%}"
        if self.pair_accuracy.excludes_zero or self.discrimination.excludes_zero:
            return (
                f"{moved}, pair accuracy by {self.pair_accuracy.estimate:+.0%} "
                f"and discrimination by {self.discrimination.estimate:+.2f} nats"
            )
        return f"{moved}; no change of pair accuracy or discrimination can be told from none"


def behaviour(
    vulnerable: Sequence[float] | Array,
    patched: Sequence[float] | Array,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Behaviour:
    """What the answers to pairs say.

    Both arguments are logp("vulnerable") - logp("secure") in nats, one number per pair.
    """
    left, right = _pair(vulnerable, patched)
    parts = _parts(left, right)
    found = {
        name: mean_interval(values, clusters, confidence=confidence, seed=seed)
        for name, values in parts.items()
        if name != "answer"
    }
    return Behaviour(**found)


def shift(
    before: tuple[Sequence[float] | Array, Sequence[float] | Array],
    after: tuple[Sequence[float] | Array, Sequence[float] | Array],
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Shift:
    """What changed between two runs over the same pairs; each is ``(vulnerable, patched)`` as in :func:`behaviour`."""
    was, now = _parts(*_pair(*before)), _parts(*_pair(*after))
    names = ("answer", "yes_rate", "pair_accuracy", "discrimination")
    return Shift(
        **{name: mean_interval(now[name] - was[name], clusters, confidence=confidence, seed=seed) for name in names}
    )


def _pair(vulnerable: Sequence[float] | Array, patched: Sequence[float] | Array) -> tuple[Array, Array]:
    left, right = finite("vulnerable", vulnerable), finite("patched", patched)
    if left.shape != right.shape or left.ndim != 1:
        raise ValueError(
            f"there are {left.shape} vulnerable and {right.shape} patched answers; give one of each per pair"
        )
    return left, right


def _parts(vulnerable: Array, patched: Array) -> dict[str, Array]:
    """Each measure per pair: its mean over pairs is the measure."""
    yes, no = vulnerable > 0, patched <= 0
    return {
        "answer": (vulnerable + patched) / 2,
        "yes_rate": (yes.astype(float) + (patched > 0)) / 2,
        "accuracy": (yes.astype(float) + no) / 2,
        "pair_accuracy": (yes & no).astype(float),
        "discrimination": vulnerable - patched,
        "ordered": (vulnerable > patched).astype(float),
    }
