"""Dose-response: one least-squares slope per sample, the share that steers backwards, and a test of the trend."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pytest_steering.evaluation.statistics.clusters import Array, cluster, finite
from pytest_steering.evaluation.statistics.intervals import Interval, mean_interval


@dataclass(frozen=True)
class Slopes:
    """How each sample's answer follows the dose.

    ``values`` holds the least-squares slope of every sample, ``mean`` their mean, ``backwards`` the share of samples
    with a negative one, both with intervals over clusters. ``trend`` is the p-value of Page's test that the answer
    rises with every dose, over cluster means; ``None`` below three doses, three clusters or where nothing varies.
    """

    values: tuple[float, ...]
    mean: Interval
    backwards: Interval
    trend: float | None

    def __str__(self) -> str:
        rising = "" if self.trend is None else f"; rising with dose: Page p = {self.trend:.2g}"
        return f"{self.mean} per unit of dose; {self.backwards.estimate:.0%} of samples steer backwards{rising}"


def slopes(
    doses: Sequence[float],
    answers: Sequence[Sequence[float]] | Array,
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Slopes:
    """The slopes of ``answers``, of shape ``(samples, doses)``, over ``doses``.

    Use doses where the answer still follows them, up to about 0.3 of the residual's norm: beyond, it saturates and
    the slope says less. Raises ``ValueError`` for fewer than two different doses.
    """
    dose, table = finite("doses", doses), finite("answers", answers)
    if table.ndim != 2 or table.shape[1] != len(dose):
        raise ValueError(f"the answers have shape {table.shape}; give one row per sample and {len(dose)} doses per row")
    if len(np.unique(dose)) < 2:
        raise ValueError("a slope needs at least two different doses")
    values = np.polynomial.polynomial.polyfit(dose, table.T, 1)[1]
    return Slopes(
        values=tuple(float(value) for value in values),
        mean=mean_interval(values, clusters, confidence=confidence, seed=seed),
        backwards=mean_interval((values < 0).astype(float), clusters, confidence=confidence, seed=seed),
        trend=_trend(dose, table, clusters),
    )


def _trend(dose: Array, table: Array, clusters: Sequence[Hashable] | None) -> float | None:
    order = np.argsort(dose, kind="stable")
    means = np.stack([cluster(table[:, index], clusters).means for index in order], axis=1)
    if means.shape[0] < 3 or means.shape[1] < 3 or np.ptp(means) == 0:
        return None
    return float(stats.page_trend_test(means, method="asymptotic" if len(means) > 12 else "auto").pvalue)
