"""What was added, element by element, beside the vector that should have been."""

from __future__ import annotations

import torch
from torch import Tensor

from pytest_steering.diagnosis.causes import Cause

_HALF = (torch.bfloat16, torch.float16)


def likely_elements(found: Tensor, delta: Tensor) -> str:
    """The bug class of a delta some of whose elements are wrong; both ``(hidden_size,)``, double precision."""
    largest = float(delta.abs().amax())
    for shift in (1, -1):
        if float((found - delta.roll(shift)).norm()) <= 0.01 * float(delta.norm()):
            return f"{Cause.SHIFTED} by {shift:+d}"
    if float((found - found.mean()).norm()) <= 0.01 * float(found.norm()) and len(delta) > 1:
        return "" if float((delta - delta.mean()).norm()) <= 0.01 * float(delta.norm()) else Cause.BROADCAST
    off = (found - delta).abs() > 1e-3 * delta.abs() + 1e-4 * largest
    wrong = off.nonzero().flatten().tolist()
    # Elements that are zero are right whatever the dose.
    right = int((~off & (delta != 0)).sum())
    if not wrong or not right:
        return ""
    few = f"{wrong}" if len(wrong) <= 4 else f"{len(wrong)} of {len(delta)}"
    if float(found[off].abs().amax()) <= 1e-3 * largest:
        return f"{Cause.ELEMENTS}: {few}"
    limit = found[off].abs()
    clipped = float(limit.amax() - limit.amin()) <= 1e-3 * float(limit.amax())
    # Only what is beyond the limit is off.
    beyond = bool((delta[off].abs() > limit).all()) and bool((delta[~off].abs() <= 1.001 * limit.amax()).all())
    return f"{Cause.CLIPPED} at {float(limit.amax()):.3g}: {few}" if clipped and beyond else ""


def rounded_to(found: Tensor, vector: Tensor, scale: float) -> str:
    """The dtype through which the vector, or the scaled vector, passed on its way; empty when none explains it.

    ``found`` is what was added and ``vector`` what was asked for, both ``(hidden_size,)``, double precision.
    """
    plain = float((found - vector * scale).norm())
    for dtype in _HALF:
        for rounded in ((vector * scale).to(dtype).double(), vector.to(dtype).double() * scale):
            if float((found - rounded).norm()) < 0.2 * plain:
                return str(dtype).removeprefix("torch.")
    return ""
