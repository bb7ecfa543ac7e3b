"""Comparisons that requirements are made of: each passes silently or raises a ``Violation`` with the numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from pytest_steering.architecture.residual import fitted, same_bits
from pytest_steering.errors import Violation
from pytest_steering.oracle import tolerance
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.tokens import Evidence, likely_cause


def arrives(
    steered: Tensor,
    plain: Tensor,
    vector: Tensor,
    scale: float,
    asked: Tensor,
    *,
    where: str,
    added: Tensor | None = None,
    padding: Tensor | None = None,
    ulps: int = tolerance.ULPS,
    floor: float = 0.0,
    first_column: int = 0,
) -> None:
    """The steered residual stream is the unsteered one plus ``scale * vector`` at the ``asked`` tokens and bit-equal
    elsewhere.

    ``steered`` and ``plain`` are ``(rows, columns, hidden_size)``, with several streams before the last axis, and
    ``asked`` is ``(rows, tokens)``. ``added`` are the absolute values that the layer added up itself: an adapter that
    adds inside the layer rounds where they are large.
    """
    if steered.shape != plain.shape:
        raise Violation(f"shape {tuple(steered.shape)} arrives, {tuple(plain.shape)} without steering", where=where)
    if steered.dtype != plain.dtype:
        raise Violation(
            f"{_name(steered.dtype)} arrives, {_name(plain.dtype)} without steering",
            where=where,
            likely=Diagnosis(Cause.PROMOTED),
        )
    first_column += asked.shape[1] - plain.shape[1]
    own = max(0, plain.shape[1] - asked.shape[1])
    streams = math.prod(plain.shape[2:-1])
    steered, plain = _streams_as_rows(steered), _streams_as_rows(plain)
    asked = _for(asked, plain, streams)
    padding = None if padding is None else _for(padding, plain, streams)
    delta = (vector.double() * scale).to(plain.device)
    before, after = plain.double(), steered.double()
    expected = torch.where(asked.unsqueeze(-1), before + delta, before)
    magnitude = torch.maximum(torch.maximum(before.abs(), expected.abs()), delta.abs())
    if added is not None and added.shape == plain.shape:
        magnitude = torch.maximum(magnitude, before.abs() + added.to(plain.device))
    allowed = tolerance.addition(magnitude, plain.dtype, ulps=ulps, floor=floor)
    allowed = torch.where(asked.unsqueeze(-1), allowed, torch.full_like(allowed, floor))
    excess = (after - expected).abs()
    # What the model itself blows up stays as it is: the same infinity, or no number in either.
    excess[(after.isinf() & (after == expected)) | (after.isnan() & expected.isnan())] = 0.0
    excess = excess.nan_to_num(torch.inf, torch.inf)
    evidence = Evidence(after - before, vector.double().to(plain.device), scale, asked, padding, streams, own, before)
    beyond = _beyond(excess, allowed)
    if bool((beyond > 0).any()):
        # Of the largest and smallest numbers, not every right order comes as near as that.
        for right in tolerance.right_sums(plain, vector, scale):
            off = (right.double() - expected).abs().nan_to_num(0.0, 0.0)
            allowed = torch.where(asked.unsqueeze(-1), torch.maximum(allowed, off + floor), allowed)
        beyond = _beyond(excess, allowed)
    if bool((beyond > 0).any()):
        row, column, _ = _worst(beyond)
        within = f"{ulps} ulp" if bool(asked[row, column]) else "none (not steered here)"
        stream = f", stream {row % streams}" if streams > 1 else ""
        raise Violation(
            f"max |Δ| {float(excess[row, column].max()):.1e} at row {row // streams}{stream}, "
            f"position {first_column + column}; allowed {within}",
            where=where,
            likely=likely_cause(evidence),
        )
    _right_scale(evidence, plain, vector, magnitude, ulps, where)


def identical(found: Tensor, wanted: Tensor, what: str, *, where: str = "", likely: Diagnosis | None = None) -> None:
    """Two tensors are bit-equal; ``what`` says what differs if they are not."""
    if same_bits(found, wanted):
        return
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        detail = f"{_name(found.dtype)} {tuple(found.shape)} instead of {_name(wanted.dtype)} {tuple(wanted.shape)}"
    else:
        count = int((found != wanted).sum())
        detail = f"max |Δ| {tolerance.furthest(found, wanted):.1e}, {count} of {wanted.numel()} values; allowed 0"
    raise Violation(f"{what}: {detail}", where=where, likely=likely)


def close(
    found: Tensor,
    wanted: Tensor,
    what: str,
    *,
    where: str = "",
    likely: Diagnosis | None = None,
    floor: float = 0.0,
    dtype: torch.dtype | None = None,
) -> None:
    """Two tensors agree within the rounding of another kernel, in ``dtype`` where they were computed in another;
    ``floor`` is what that change does unsteered."""
    if found.shape != wanted.shape:
        raise Violation(f"{what}: shape {tuple(found.shape)} instead of {tuple(wanted.shape)}", where=where)
    allowed = tolerance.rounding(wanted, floor=floor, dtype=dtype)
    distance = tolerance.furthest(found, wanted)
    if distance > allowed:
        raise Violation(f"{what}: max |Δ| {distance:.1e}; allowed {allowed:.1e}", where=where, likely=likely)


def same_tokens(found: Tensor, wanted: Tensor, what: str, *, where: str = "", likely: Diagnosis | None = None) -> None:
    """Two batches of sequences are the same tokens."""
    if found.shape != wanted.shape:
        raise Violation(f"{what}: {tuple(found.shape)} tokens instead of {tuple(wanted.shape)}", where=where)
    differing = (found != wanted).nonzero()
    if len(differing):
        row, column = differing[0].tolist()
        raise Violation(f"{what}: the first other token is at row {row}, position {column}", where=where, likely=likely)


def _beyond(excess: Tensor, allowed: Tensor) -> Tensor:
    """By how much each value is further off than it may be; where what is allowed is infinite or no number, it may."""
    return torch.where(excess.isinf(), excess, torch.where(allowed.isfinite(), excess - allowed, -torch.inf))


def _right_scale(evidence: Evidence, plain: Tensor, vector: Tensor, magnitude: Tensor, ulps: int, where: str) -> None:
    """The scale measured over all steered elements: an error of one percent hides in an element, not in their mean."""
    scale = evidence.scale
    if scale == 0 or not bool(evidence.where.any()):
        return
    if not bool(torch.isfinite(evidence.observed[evidence.where]).all()):
        return
    mean_scale = float(evidence.arriving_scales().mean()) / scale
    allowed = tolerance.scale(evidence.vector * scale, magnitude[evidence.where], plain.dtype) * ulps / tolerance.ULPS
    if abs(mean_scale - 1) > allowed:
        # What is absorbed, or rounded alike in most elements, is off by as much in a right order.
        for right in tolerance.right_sums(plain, vector, scale):
            of_right = replace(evidence, observed=right.double() - plain.double())
            allowed = max(allowed, abs(float(of_right.arriving_scales().mean()) / scale - 1))
    if abs(mean_scale - 1) > allowed:
        raise Violation(
            f"the mean scale is {mean_scale:.5f} times the plan's; allowed 1 ± {allowed:.1e}",
            where=where,
            likely=likely_cause(evidence),
        )


def _streams_as_rows(residual: Tensor) -> Tensor:
    """``(rows, columns, streams, hidden_size)`` → ``(rows * streams, columns, hidden_size)``."""
    if residual.ndim == 3:
        return residual
    return residual.flatten(2, -2).movedim(2, 1).flatten(0, 1)


def _for(mask: Tensor, residual: Tensor, streams: int) -> Tensor:
    """A ``(rows, tokens)`` mask for every stream, and for the columns that the residual stream has."""
    return fitted(mask.to(residual.device), residual.shape[1]).repeat_interleave(streams, dim=0)


def _worst(excess: Tensor) -> tuple[int, int, int]:
    flat = int(excess.argmax())
    columns, hidden = excess.shape[1:]
    return flat // (columns * hidden), flat // hidden % columns, flat % hidden


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
