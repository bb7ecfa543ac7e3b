"""Paired tests: exact McNemar for right and wrong, sign flips of whole clusters for everything that has a size."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pytest_steering.evaluation.statistics.clusters import Array, cluster
from pytest_steering.evaluation.statistics.effects import cohens_g, matched_odds_ratio, standardised_mean_difference
from pytest_steering.evaluation.statistics.intervals import RESAMPLES
from pytest_steering.evaluation.statistics.power import level, minimum_clusters, minimum_discordant


@dataclass(frozen=True)
class McNemar:
    """An exact McNemar test of the cases that turned right (``gained``) against those that turned wrong (``lost``).

    ``p`` is ``None`` where so few cases changed that no outcome could have been significant: underpowered.
    """

    cases: int
    gained: int
    lost: int
    p: float | None
    needed: int
    alpha: float

    @property
    def underpowered(self) -> bool:
        """So few cases changed that the test says nothing."""
        return self.p is None

    @property
    def cohens_g(self) -> float | None:
        """Cohen's g, from -0.5 to 0.5: the share gained among the changed cases, minus a half."""
        return cohens_g(self.gained, self.lost)

    @property
    def odds_ratio(self) -> float | None:
        """The matched odds ratio: gained to lost."""
        return matched_odds_ratio(self.gained, self.lost)

    def __str__(self) -> str:
        changed = f"{self.gained} of {self.cases} cases gained and {self.lost} lost"
        if self.p is None:
            return f"{changed}: underpowered, {self.needed} changed cases are needed for p ≤ {self.alpha:.2g}"
        return f"{changed}: exact McNemar p = {self.p:.2g}, Cohen's g {self.cohens_g:+.2f}"


@dataclass(frozen=True)
class SignFlip:
    """A sign-flip permutation test of a mean paired difference against zero, flipping whole clusters.

    ``p`` is ``None`` where there are so few clusters that no outcome could have been significant: underpowered.
    ``exact`` says whether every pattern of signs was tried, or ``patterns`` drawn ones.
    """

    mean: float
    clusters: int
    p: float | None
    needed: int
    alpha: float
    standardised: float | None
    exact: bool
    patterns: int

    @property
    def underpowered(self) -> bool:
        """There are so few clusters that the test says nothing."""
        return self.p is None

    def __str__(self) -> str:
        start = f"mean paired difference {self.mean:+.3g} over {self.clusters} clusters"
        if self.p is None:
            return f"{start}: underpowered, {self.needed} clusters are needed for p ≤ {self.alpha:.2g}"
        kind = "exact sign-flip" if self.exact else f"sign-flip ({self.patterns} patterns drawn)"
        size = "" if self.standardised is None else f", {self.standardised:+.2f} standard deviations"
        return f"{start}: {kind} p = {self.p:.2g}{size}"


def mcnemar(
    before: Sequence[bool],
    after: Sequence[bool],
    clusters: Sequence[Hashable] | None = None,
    *,
    alpha: float = 0.05,
    family: int = 1,
) -> McNemar:
    """Whether cases turned right more often than wrong, exactly.

    The cases must be independent: with ``clusters`` given, a cluster that appears twice raises ``ValueError``, since
    counting it twice makes p too small; use :func:`sign_flip` then. ``family`` is the number of tests that Holm
    corrects together, which decides how many changed cases are the least.
    """
    if len(before) != len(after) or not before:
        raise ValueError(
            f"there are {len(before)} cases before and {len(after)} after; give the same cases, at least one"
        )
    if clusters is not None and len(set(clusters)) < len(before):
        raise ValueError(
            f"the {len(before)} cases come from {len(set(clusters))} clusters, and McNemar's test would count "
            "a cluster more than once; use sign_flip"
        )
    gained = sum(not was and is_ for was, is_ in zip(before, after, strict=True))
    lost = sum(bool(was and not is_) for was, is_ in zip(before, after, strict=True))
    strictest = level(alpha, family)
    needed = minimum_discordant(alpha, family)
    changed = gained + lost
    p = float(stats.binomtest(gained, changed, 0.5).pvalue) if changed >= needed else None
    return McNemar(len(before), gained, lost, p, needed, strictest)


def sign_flip(
    differences: Sequence[float] | Array,
    clusters: Sequence[Hashable] | None = None,
    *,
    alpha: float = 0.05,
    family: int = 1,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> SignFlip:
    """Whether the mean paired difference departs from zero; two-sided, by flipping the sign of whole clusters.

    Exact while there are at most ``resamples`` patterns of signs, drawn with ``seed`` beyond that.
    """
    gathered = cluster(differences, clusters)
    strictest = level(alpha, family)
    needed = minimum_clusters(alpha, family)
    p, exact = None, 2 ** len(gathered) <= resamples
    if len(gathered) >= needed:
        result = stats.permutation_test(
            (gathered.sums,),
            _total,
            permutation_type="samples",
            vectorized=True,
            n_resamples=resamples,
            alternative="two-sided",
            random_state=np.random.default_rng(seed),
        )
        p = float(result.pvalue)
    return SignFlip(
        mean=gathered.mean,
        clusters=len(gathered),
        p=p,
        needed=needed,
        alpha=strictest,
        standardised=standardised_mean_difference(gathered.means),
        exact=exact,
        patterns=2 ** len(gathered) if exact else resamples,
    )


def _total(sums: Array, axis: int = -1) -> Array:
    return np.asarray(sums.sum(axis=axis))
