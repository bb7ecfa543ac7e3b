"""Statistics of a study: each scenario counts once, and what the data cannot carry is not printed.

The unit is the scenario, a vulnerable file and its patch. Prompts and augmentations of one scenario are averaged before
anything is computed, so that they are never taken for independent. Every result prints as one sentence.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

Array = NDArray[np.float64]
Values = Sequence[float] | Array

ALPHA = 0.05
"""What a p-value is compared with; intervals are of 95%."""
LEAST_DIRECTIONS = round(1 / ALPHA) - 1
"""The fewest directions among which the least rank p, ``1 / (K + 1)``, is at most 0.05."""
FEWEST = 2
"""Scenarios below which there is no interval: one has no spread."""
PATTERNS = 9999


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval; ``low`` and ``high`` are ``None`` where the data carry none.

    ``scenarios`` counts the independent units behind it, ``method`` names how the ends were found, and ``note`` says
    why there are none.
    """

    estimate: float
    low: float | None
    high: float | None
    scenarios: int
    method: str
    note: str = ""

    @property
    def excludes_zero(self) -> bool:
        """The whole interval lies on one side of zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.estimate:+.3g} without an interval ({self.note})"
        return (
            f"{self.estimate:+.3g} [{self.low:+.3g}, {self.high:+.3g}] "
            f"({1 - ALPHA:.0%} {self.method}, {self.scenarios} scenarios)"
        )


def by_scenario(values: Values, scenarios: Sequence[Hashable] | None = None) -> Array:
    """The mean value of each scenario; without ``scenarios`` each value is one of its own.

    Raises ``ValueError`` for no values, for a NaN or infinity, and where the two differ in length.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.size == 0:
        raise ValueError("there are no values, so nothing can be said of them")
    if len(wrong := np.argwhere(~np.isfinite(numbers))):
        raise ValueError(f"the value at {wrong[0][0]} is {numbers[tuple(wrong[0])]}; leave it out or measure it again")
    names = list(range(len(numbers))) if scenarios is None else list(scenarios)
    if len(names) != len(numbers):
        raise ValueError(f"there are {len(numbers)} values and {len(names)} scenarios; name one per value")
    places: dict[Hashable, int] = {}
    which = [places.setdefault(name, len(places)) for name in names]
    return np.asarray(np.bincount(which, weights=numbers) / np.bincount(which))


def mean_interval(values: Values, scenarios: Sequence[Hashable] | None = None) -> Interval:
    """The mean over scenarios with its t interval; none for one scenario, or where all scenarios are equal."""
    means = by_scenario(values, scenarios)
    mean, count = float(means.mean()), len(means)
    if count < FEWEST:
        return Interval(mean, None, None, count, "none", "one scenario has no spread")
    if equal(means):
        return Interval(mean, None, None, count, "none", f"all {count} scenarios are equal, so no spread is seen")
    low, high = stats.t.interval(1 - ALPHA, count - 1, loc=mean, scale=stats.sem(means))
    return Interval(mean, float(low), float(high), count, "t")


def share_interval(values: Values, scenarios: Sequence[Hashable] | None = None) -> Interval:
    """A share of answers with its Clopper-Pearson interval, as if each scenario were one answer: never too narrow.

    Wilson's interval, which is shorter, covers 83% to 88% at some shares of 2 to 10 scenarios, and this one 95% at all.
    """
    means = by_scenario(values, scenarios)
    share, count = float(means.mean()), len(means)
    if means.min() < 0 or means.max() > 1:
        raise ValueError(f"a share lies between 0 and 1; got {means.min():g} to {means.max():g}")
    if count < FEWEST:
        return Interval(share, None, None, count, "none", "one scenario says nothing of others")
    low, high = proportion_confint(float(means.sum()), count, alpha=ALPHA, method="beta")
    return Interval(share, float(low), float(high), count, "Clopper-Pearson")


@dataclass(frozen=True)
class McNemar:
    """An exact McNemar test of the pairs that turned right (``gained``) against those that turned wrong (``lost``).

    ``p`` is ``None`` where so few pairs changed that no outcome could have been significant: underpowered.
    """

    cases: int
    gained: int
    lost: int
    p: float | None
    needed: int

    def __str__(self) -> str:
        changed = f"{self.gained} of {self.cases} gained and {self.lost} lost"
        if self.p is None:
            return f"{changed}: underpowered, {self.needed} that change are needed"
        g = self.gained / (self.gained + self.lost) - 0.5
        return f"{changed}: exact McNemar p = {self.p:.2g}, Cohen's g {g:+.2f}"


@dataclass(frozen=True)
class SignFlip:
    """A sign-flip permutation test of a mean paired difference against zero, flipping whole scenarios.

    ``p`` is ``None`` where there are so few scenarios that no outcome could have been significant: underpowered.
    ``drawn`` patterns of signs were tried, or all there are where it is 0. ``standardised`` is the mean in standard
    deviations of the scenarios, ``None`` where they do not vary.
    """

    mean: float
    scenarios: int
    p: float | None
    needed: int
    standardised: float | None
    drawn: int

    def __str__(self) -> str:
        start = f"mean paired difference {self.mean:+.3g} over {self.scenarios} scenarios"
        if self.p is None:
            return f"{start}: underpowered, {self.needed} scenarios are needed"
        kind = f"sign-flip ({self.drawn} patterns drawn)" if self.drawn else "exact sign-flip"
        size = "" if self.standardised is None else f", {self.standardised:+.2f} standard deviations"
        return f"{start}: {kind} p = {self.p:.2g}{size}"


def least_units(family: int = 1) -> int:
    """The fewest scenarios, or changed pairs, all in one direction, with ``2 / 2**n`` at most Holm's first level.

    Both an exact sign flip and an exact McNemar test have that p at least: 6 for one test, 9 for a family of eight.
    """
    return math.ceil(1 - math.log2(ALPHA / family))


def mcnemar(before: Sequence[bool], after: Sequence[bool], *, family: int = 1) -> McNemar:
    """Whether pairs turned right more often than wrong, exactly. The pairs must be of different scenarios.

    ``family`` is the number of tests that Holm corrects together.
    """
    gained = sum(not was and is_ for was, is_ in zip(before, after, strict=True))
    lost = sum(bool(was and not is_) for was, is_ in zip(before, after, strict=True))
    needed = least_units(family)
    enough = gained + lost >= needed
    p = float(stats.binomtest(gained, gained + lost).pvalue) if enough else None
    return McNemar(len(before), gained, lost, p, needed)


def sign_flip(
    differences: Values, scenarios: Sequence[Hashable] | None = None, *, family: int = 1, seed: int = 0
) -> SignFlip:
    """Whether the mean paired difference departs from zero; two-sided, by flipping the sign of whole scenarios."""
    means = by_scenario(differences, scenarios)
    needed, count = least_units(family), len(means)
    p = None
    if count >= needed:
        result = stats.permutation_test(
            (means,),
            np.mean,
            permutation_type="samples",
            vectorized=True,
            n_resamples=PATTERNS,
            random_state=np.random.default_rng(seed),
        )
        p = float(result.pvalue)
    standardised = None if count < FEWEST or equal(means) else float(means.mean() / means.std(ddof=1))
    return SignFlip(float(means.mean()), count, p, needed, standardised, 0 if 2**count <= PATTERNS else PATTERNS)


@dataclass(frozen=True)
class Control:
    """The effect of a trained direction among the effects of ``directions`` others of equal norm.

    ``p`` is the rank of its size among theirs, ``(1 + how many are at least as large) / (K + 1)``; ``None`` where
    there are too few directions for any rank to be significant. ``spread`` is the standard deviation of their
    effects and ``largest`` the largest in size.
    """

    target: float
    directions: int
    p: float | None
    spread: float
    largest: float

    @property
    def beaten(self) -> bool:
        """The trained direction is significantly stronger than the others."""
        return self.p is not None and self.p <= ALPHA

    def against(self, what: str) -> str:
        """The comparison in words; ``what`` says what the others are."""
        found = f"target {self.target:+.3g} against {self.directions} {what}"
        if self.directions:
            found += f" (standard deviation {self.spread:.2g}, largest {self.largest:.2g})"
        if self.p is None:
            return f"{found}: underpowered, {LEAST_DIRECTIONS} are needed"
        least = ", the least that so many can give" if self.p <= 1 / (self.directions + 1) else ""
        return f"{found}: rank p = {self.p:.2g}{least}"


def control(target: float, effects: Values) -> Control:
    """The rank of the target's effect among those of other directions, by size whatever the sign.

    The others must have the target's norm at every layer, and the effects must be of the named behaviour, not of a
    divergence, which any strong direction raises.
    """
    drawn = np.abs(np.asarray(effects, dtype=np.float64))
    if not np.isfinite([target, *drawn]).all():
        raise ValueError(f"the effects must be finite to be compared; the target's is {target}")
    count = len(drawn)
    # A tie counts against the target; rounding must not break it.
    as_large = int((drawn >= abs(target) * (1 - 1e-12)).sum())
    return Control(
        target=float(target),
        directions=count,
        p=(1 + as_large) / (count + 1) if count >= LEAST_DIRECTIONS else None,
        spread=float(np.std(effects, ddof=1)) if count > 1 else 0.0,
        largest=float(drawn.max(initial=0.0)),
    )


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Every test's p-value corrected by Holm's method, by name; ``None`` stands for an underpowered test.

    Such a test counts in the family, as p = 1, because it would have been looked at.
    """
    if not p_values:
        return {}
    corrected = multipletests([1.0 if p is None else p for p in p_values.values()], method="holm")[1]
    return {name: None if p is None else float(new) for (name, p), new in zip(p_values.items(), corrected, strict=True)}


def equal(values: Array) -> bool:
    """Whether nothing varies but by rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())
