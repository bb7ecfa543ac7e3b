"""Confidence intervals: BCa bootstrap over clusters for means, Wilson for shares of independent cases."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from pytest_steering.evaluation.statistics.clusters import Array, Clusters, cluster

RESAMPLES = 9999
FEWEST_CLUSTERS = 2


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval; ``low`` and ``high`` are ``None`` where the data give none.

    ``clusters`` counts the independent units behind it, ``method`` names how the ends were found, and ``note`` says
    what to keep in mind.
    """

    estimate: float
    low: float | None
    high: float | None
    confidence: float
    clusters: int
    method: str
    note: str = ""

    @property
    def excludes_zero(self) -> bool:
        """The whole interval lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def __str__(self) -> str:
        behind = f"{self.clusters} cluster{'s' * (self.clusters != 1)}"
        if self.low is None or self.high is None:
            return f"{self.estimate:+.3g} without an interval ({behind}: {self.note})"
        note = f"; {self.note}" if self.note else ""
        return (
            f"{self.estimate:+.3g} [{self.low:+.3g}, {self.high:+.3g}] "
            f"({self.confidence:.0%} {self.method}, {behind}{note})"
        )


def mean_interval(
    values: Sequence[float] | Array,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The mean of the values with a BCa bootstrap interval; whole clusters are drawn, never single values.

    One cluster gives no interval. Clusters that all have the same mean give a point, and a note says so. Where BCa
    cannot be computed the percentile interval takes its place, named in ``method``.
    """
    gathered = cluster(values, clusters)
    _check_confidence(confidence)
    few = _few(gathered)
    if len(gathered) < FEWEST_CLUSTERS:
        return Interval(gathered.mean, None, None, confidence, len(gathered), "none", "one cluster has no spread")
    if np.ptp(gathered.means) == 0:
        note = "every cluster has the same mean: a point, not a proof of certainty"
        return Interval(gathered.mean, gathered.mean, gathered.mean, confidence, len(gathered), "point", note)
    for method in ("BCa", "percentile"):
        low, high = _bootstrap(gathered, confidence=confidence, resamples=resamples, seed=seed, method=method)
        if np.isfinite(low) and np.isfinite(high):
            return Interval(gathered.mean, low, high, confidence, len(gathered), method, few)
    raise AssertionError("a percentile of finite means is finite")


def proportion_interval(successes: int, total: int, *, confidence: float = 0.95) -> Interval:
    """The share of successes among independent cases with its Wilson interval."""
    if not 0 <= successes <= total or total < 1:
        raise ValueError(f"{successes} of {total} is no share; give 0 ≤ successes ≤ total with at least one case")
    _check_confidence(confidence)
    low, high = proportion_confint(successes, total, alpha=1 - confidence, method="wilson")
    return Interval(successes / total, float(low), float(high), confidence, total, "Wilson")


def _bootstrap(gathered: Clusters, *, confidence: float, resamples: int, seed: int, method: str) -> tuple[float, float]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # scipy warns of what the NaN that it returns says
        result = stats.bootstrap(
            (gathered.sums, gathered.sizes),
            _ratio,
            paired=True,
            vectorized=True,
            method=method,
            confidence_level=confidence,
            n_resamples=resamples,
            random_state=np.random.default_rng(seed),
        )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _ratio(sums: Array, sizes: Array, axis: int = -1) -> Array:
    return np.asarray(sums.sum(axis=axis) / sizes.sum(axis=axis))


def _few(gathered: Clusters) -> str:
    return "few clusters: too narrow rather than too wide" if len(gathered) < 10 else ""


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"the confidence must lie between 0 and 1; got {confidence}")
