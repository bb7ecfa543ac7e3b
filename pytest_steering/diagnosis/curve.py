"""The dose that arrives at each scale that is asked for: what a wrong dose at one scale does not tell, many do."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pytest_steering.diagnosis.causes import Cause

SCALES = (0.0005, 0.002, 0.02, 0.25, 0.5, 1.0, 2.5, 7.0, 20.0, 64.0, 150.0, -0.25, -1.0, -2.5, -20.0)
"""From small to large, of either sign, whole and not."""

Curve = Mapping[float, float]
"""Scale → dose: by how many vectors the residual stream moved; NaN where the scale was refused."""


def likely_curve(curve: Curve, *, eps: float, norm: float, columns: int) -> str:
    """The bug class of a curve that is not the identity, or an empty string.

    ``eps`` is the machine epsilon of the residual stream's dtype, ``norm`` that of the vector, ``columns`` how many
    tokens the pass has.
    """

    def fits(expected: Callable[[float], float], scales: list[float]) -> bool:
        return all(abs(curve[s] - expected(s)) <= _slack(s, eps) for s in scales)

    scales = [scale for scale in curve if not math.isnan(curve[scale])]
    refused = [scale for scale in curve if math.isnan(curve[scale])]
    wrong = [scale for scale in scales if not fits(lambda s: s, [scale])]
    if not wrong:
        large = refused and min(map(abs, refused)) > max(map(abs, scales), default=0.0)
        return f"{Cause.REFUSED}: {min(refused, key=abs):g}" if large else ""
    if not any(curve[scale] for scale in scales):
        return ""
    ratio = curve[max(wrong, key=abs)] / max(wrong, key=abs)
    for factor, cause in (
        (2.0, Cause.TWICE),
        (-1.0, f"{Cause.SUBTRACTED} at every scale"),
        (1 / norm, Cause.NORMALISED),
        (1 / columns if columns > 1 else math.nan, f"{Cause.DIVIDED} in the pass"),
        (ratio, f"{Cause.FACTOR}: it is {ratio:.4g} times the plan's, at every scale"),
    ):
        if fits(lambda s, factor=factor: s * factor, scales):  # type: ignore[misc]
            return cause
    for expected, cause in (
        (abs, Cause.SIGN),
        (lambda s: 1.0, Cause.SCALE_IGNORED),
        (lambda s: s * s, Cause.SCALE_TWICE),
        (lambda s: math.copysign(1.0, s), f"{Cause.SCALE_IGNORED}, but for its sign"),
    ):
        if fits(expected, scales):
            return cause
    whole = all(abs(curve[s] - round(curve[s])) <= _slack(s, eps) and abs(curve[s] - s) <= 1 for s in scales)
    if whole and all(s % 1 for s in wrong):
        return f"{Cause.WHOLE}: {_pair(curve, wrong)}"
    limit = abs(curve[max(wrong, key=abs)])
    if fits(lambda s: max(-limit, min(limit, s)), scales):
        return f"{Cause.CLAMPED} to {limit:.4g}: {_pair(curve, wrong)}"
    right = [abs(scale) for scale in scales if scale not in wrong]
    if right and max(map(abs, wrong)) < min(right) and fits(lambda s: 0.0, wrong):
        return f"{Cause.SMALL_LOST}: nothing arrives up to {max(map(abs, wrong)):g}, all of it from {min(right):g} on"
    return ""


def _slack(scale: float, eps: float) -> float:
    """A measured dose is off by rounding, in proportion to the scale and to the residual stream."""
    return 1e-3 * abs(scale) + 4 * eps


def _pair(curve: Curve, wrong: list[float]) -> str:
    scale = max(wrong, key=abs)
    return f"{curve[scale]:.4g} where the plan says {scale:g}"
