"""Many tests at once: Holm's correction, under which underpowered tests still count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from statsmodels.stats.multitest import multipletests

from pytest_steering.evaluation.statistics.power import level


@dataclass(frozen=True)
class Corrected:
    """One test of a family: its p-value before and after Holm's correction, ``None`` where it is underpowered."""

    name: str
    p: float | None
    corrected: float | None
    family: int
    significant: bool

    def __str__(self) -> str:
        if self.p is None or self.corrected is None:
            return f"{self.name}: underpowered"
        verdict = "significant" if self.significant else "not significant"
        return f"{self.name}: p = {self.p:.2g}, {self.corrected:.2g} by Holm over {self.family} tests: {verdict}"


def holm(p_values: Mapping[str, float | None], *, alpha: float = 0.05) -> dict[str, Corrected]:
    """Every test's p-value corrected by Holm's method, by name.

    ``None`` stands for an underpowered test. It counts in the family, as p = 1, because it would have been looked at.
    """
    level(alpha)
    if not p_values:
        return {}
    for name, p in p_values.items():
        if p is not None and not 0 <= p <= 1:
            raise ValueError(f"{name}: {p} is no p-value; it must lie within 0 and 1")
    rejected, corrected, _, _ = multipletests(
        [1.0 if p is None else p for p in p_values.values()], alpha=alpha, method="holm"
    )
    return {
        name: Corrected(name, p, None if p is None else float(new), len(p_values), p is not None and bool(reject))
        for (name, p), new, reject in zip(p_values.items(), corrected, rejected, strict=True)
    }
