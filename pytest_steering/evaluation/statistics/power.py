"""Power: the least data with which a test can speak at all, and how much it takes to see an effect."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from pytest_steering.evaluation.statistics.clusters import Array

MOST_CASES = 20_000


def level(alpha: float, family: int = 1) -> float:
    """The strictest level that Holm asks for among ``family`` tests: ``alpha / family``."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1; got {alpha}")
    if family < 1:
        raise ValueError(f"a family has at least one test; got {family}")
    return alpha / family


def minimum_discordant(alpha: float = 0.05, family: int = 1) -> int:
    """The least number of discordant cases, all in one direction, for which an exact McNemar test gives p ≤ level.

    6 at alpha 0.05 and 9 for the strictest step of Holm over 8 tests.
    """
    wanted = level(alpha, family)
    return next(n for n in range(1, 10_000) if _exact_p(n, n) <= wanted)


def minimum_clusters(alpha: float = 0.05, family: int = 1) -> int:
    """The least number of clusters for which a two-sided sign-flip test can give p ≤ level: ``2 / 2**n``."""
    return math.ceil(1 - math.log2(level(alpha, family)) - 1e-9)


def minimum_directions(alpha: float = 0.05) -> int:
    """The least number of random directions for which a rank among them can give p ≤ alpha: ``1 / (K + 1)``."""
    return math.ceil(1 / level(alpha) - 1 - 1e-9)


def mcnemar_power(n: int, gained: float, lost: float, *, alpha: float = 0.05) -> float:
    """The probability that an exact McNemar test of ``n`` cases gives p ≤ alpha.

    ``gained`` and ``lost`` are the shares of cases that turn right and that turn wrong. Computed exactly, over every
    possible number of discordant cases.
    """
    _check_shares(gained, lost)
    if n < 1:
        return 0.0
    discordant = np.arange(1, n + 1)
    weights = stats.binom.pmf(discordant, n, gained + lost)
    return float(weights @ _rejected(n, gained / (gained + lost), alpha))


def mcnemar_sample_size(gained: float, lost: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """The least number of independent cases for which an exact McNemar test has this power."""
    _check_shares(gained, lost)
    if gained == lost:
        raise ValueError(f"as many cases are gained as lost ({gained:g}), so no number of them would show a difference")
    if not 0 < power < 1:
        raise ValueError(f"the power must lie between 0 and 1; got {power}")
    # Power rises with n but for a saw's teeth: double until it is reached, then walk up from the last size without it.
    size = minimum_discordant(alpha)
    while mcnemar_power(size, gained, lost, alpha=alpha) < power:
        size *= 2
        if size > MOST_CASES:
            raise ValueError(f"more than {MOST_CASES} cases are needed to tell {gained:g} gained from {lost:g} lost")
    return next(n for n in range(size // 2, size + 1) if mcnemar_power(n, gained, lost, alpha=alpha) >= power)


def _rejected(n: int, share: float, alpha: float) -> Array:
    """The probability of p ≤ alpha given 1 … n discordant cases."""
    cases = np.arange(1, n + 1)
    edge = stats.binom.ppf(alpha / 2, cases, 0.5)
    # ppf gives the least k whose tail holds alpha / 2: that k itself is already too many, unless it fits exactly.
    most = np.where(2 * stats.binom.cdf(edge, cases, 0.5) <= alpha, edge, edge - 1)
    both = stats.binom.cdf(most, cases, share) + stats.binom.sf(cases - most - 1, cases, share)
    return np.where(most >= 0, both, 0.0)


def _exact_p(successes: int, cases: int) -> float:
    return float(stats.binomtest(successes, cases, 0.5).pvalue)


def _check_shares(gained: float, lost: float) -> None:
    if gained < 0 or lost < 0 or not 0 < gained + lost <= 1:
        raise ValueError(f"gained {gained:g} and lost {lost:g} are no shares of the cases; their sum is within 0 and 1")
