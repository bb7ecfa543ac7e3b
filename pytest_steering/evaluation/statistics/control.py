"""The random-direction control: a trained direction must move its own behaviour more than chance directions do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_steering.evaluation.statistics.clusters import Array, finite
from pytest_steering.evaluation.statistics.power import minimum_directions


@dataclass(frozen=True)
class RandomControl:
    """The effect of a trained direction among the effects of ``directions`` random ones of equal norm.

    ``p`` is the rank of its size among theirs, ``(1 + how many are at least as large) / (K + 1)``; ``None`` where
    there are too few directions for any rank to be significant. ``spread`` is the standard deviation of the random
    effects and ``largest`` the largest in size.
    """

    target: float
    directions: int
    p: float | None
    needed: int
    alpha: float
    spread: float
    largest: float
    what: str = "random directions of equal norm"

    @property
    def beaten(self) -> bool:
        """The trained direction is significantly stronger than random ones."""
        return self.p is not None and self.p <= self.alpha

    def __str__(self) -> str:
        against = f"target {self.target:+.3g} against {self.directions} {self.what}"
        spread = f"(standard deviation {self.spread:.2g}, largest {self.largest:.2g})"
        if self.p is None:
            return f"{against} {spread}: underpowered, {self.needed} are needed for p ≤ {self.alpha:.2g}"
        least = ", the least that so many can give" if self.p <= 1 / (self.directions + 1) else ""
        return f"{against} {spread}: rank p = {self.p:.2g}{least}"


def random_control(
    target: float,
    effects: Sequence[float] | Array,
    *,
    alpha: float = 0.05,
    what: str = "random directions of equal norm",
) -> RandomControl:
    """The rank of the target's effect among random directions, by size whatever the sign.

    The random directions must have the target's norm at every layer, and the effects must be of the named behaviour,
    not of a divergence, which any strong direction raises. ``what`` says what was drawn.
    """
    drawn = finite("random effects", effects)
    if drawn.ndim != 1:
        raise ValueError(f"the random effects have shape {drawn.shape}; give one number per direction")
    if not np.isfinite(target):
        raise ValueError(f"the target's effect is {target}; it must be finite to be compared")
    needed = minimum_directions(alpha)
    count = len(drawn)
    # A tie counts against the target; rounding must not break it.
    as_large = int((np.abs(drawn) >= abs(target) * (1 - 1e-12)).sum())
    return RandomControl(
        target=float(target),
        directions=count,
        p=(1 + as_large) / (count + 1) if count >= needed else None,
        needed=needed,
        alpha=alpha,
        spread=float(drawn.std(ddof=1)) if count > 1 else 0.0,
        largest=float(np.abs(drawn).max()),
        what=what,
    )
