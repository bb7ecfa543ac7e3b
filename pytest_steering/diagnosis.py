"""From the numbers to the likely cause: what the delta that arrived looks like beside the one that should have."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NEVER = "the vector never arrives: no hook fires, or what it returns is thrown away"


@dataclass(frozen=True, eq=False)
class Evidence:
    """What arrived minus the unsteered residual stream, beside what was asked for."""

    observed: Tensor
    """``(rows, columns, hidden_size)``: steered minus unsteered, double precision."""
    vector: Tensor
    """``(hidden_size,)``: the steering vector, double precision."""
    scale: float
    where: Tensor
    """``(rows, columns)``: the tokens to steer."""
    padding: Tensor | None = None
    """``(rows, columns)``: true at padding."""
    streams: int = 1
    """How many rows stand for one: one for each residual stream."""
    own: int = 0
    """How many columns before the tokens are the model's own."""


def likely_cause(evidence: Evidence) -> str:
    """The bug class that the pattern points to, or an empty string for a pattern that no class explains."""
    if evidence.scale == 0:
        return "something is added at scale 0" if bool(evidence.observed.any()) else ""
    size = float((evidence.vector * evidence.scale).abs().amax())
    moved = evidence.observed.abs().amax(-1) > 1e-3 * size
    if not bool(evidence.where.any()):
        return "tokens that are not in the plan's positions are steered" if bool(moved.any()) else ""
    if not bool(moved.any()):
        return NEVER
    if not torch.equal(moved, evidence.where):
        return _wrong_place(moved, evidence)
    return _wrong_dose(evidence)


def _wrong_place(moved: Tensor, evidence: Evidence) -> str:
    where = evidence.where
    if evidence.streams > 1:
        steered = moved.reshape(-1, evidence.streams, moved.shape[1]).any(2).any(0)
        if not bool(steered.all()):
            return f"of the residual streams only {steered.nonzero().flatten().tolist()} are steered"
    rows, asked_rows = moved.any(1), where.any(1)
    missed, extra = where & ~moved, moved & ~where
    if bool(extra[:, : evidence.own].any()):
        return "positions that the model itself puts before the tokens are steered"
    if evidence.padding is not None and bool((extra & evidence.padding).any()):
        return "padding is steered (the attention mask is ignored)"
    if bool(missed.any()) and not torch.equal(rows, asked_rows):
        if not bool(rows[1:].any()):
            return "only batch row 0 is steered (output[0] on a layer that returns a tensor)"
        silent = [row for row in range(len(rows)) if bool(asked_rows[row]) and not bool(rows[row])]
        return f"batch rows {silent} are not steered"
    if not bool(extra.any()):
        return _missed_columns(missed, moved, where)
    if moved.shape[1] > 1 and torch.equal(moved[:, 1:], where[:, :-1]):
        return "the positions are off by one (one too late)"
    if moved.shape[1] > 1 and torch.equal(moved[:, :-1], where[:, 1:]):
        return "the positions are off by one (one too early)"
    if not bool(missed.any()):
        if bool(moved.all()):
            return "every token is steered, whatever positions the plan names"
        return "tokens that are not in the plan's positions are steered too"
    return ""


def _missed_columns(missed: Tensor, moved: Tensor, where: Tensor) -> str:
    columns = moved.any(0).nonzero().flatten().tolist()
    if columns == [moved.shape[1] - 1]:
        return "only the last position of a pass is steered"
    if columns == [0]:
        return "only the first position of a pass is steered"
    gone = missed.any(0).nonzero().flatten().tolist()
    if gone == [0]:
        return "the first position is left out"
    if gone == [int(where.any(0).nonzero().max())]:
        return "the last position is left out"
    return f"positions {gone} are left out"


def _wrong_dose(evidence: Evidence) -> str:
    vector, scale = evidence.vector, evidence.scale
    observed = evidence.observed[evidence.where]
    doses = observed @ vector / (vector @ vector)
    along = doses.unsqueeze(-1) * vector
    if float((observed - along).norm()) > 0.05 * float(observed.norm()):
        return _another_direction(observed, vector, scale)
    dose = float(doses.mean())
    if float((doses - dose).abs().amax()) > 0.01 * abs(dose):
        return "the dose is not the same at every token"
    norm = float(vector.norm())
    for factor, cause in (
        (2.0, "the vector is added twice"),
        (-1.0, "the vector is subtracted (its sign is lost)"),
        (1 / scale, "the scale is ignored"),
        (abs(scale) / scale, "the sign of the scale is lost"),
        (1 / norm, "the vector is normalised before it is added"),
        (scale, "the scale is applied twice"),
    ):
        if factor != 1.0 and abs(dose - scale * factor) <= 1e-3 * abs(scale * factor):
            return cause
    if abs(dose / scale - 1) < 1e-3:
        return "the vector loses precision on its way"
    return f"the dose is {dose / scale:.4g} times what the plan says"


def _another_direction(observed: Tensor, vector: Tensor, scale: float) -> str:
    delta = vector * scale
    mean = observed.mean(0)
    if float((observed - mean).norm()) <= 0.05 * float(observed.norm()):
        for shift in (1, -1):
            if float((mean - delta.roll(shift)).norm()) <= 0.05 * float(delta.norm()):
                return "the elements of the vector are shifted"
        if float((mean - mean.mean()).norm()) <= 0.05 * float(mean.norm()):
            return "one number is added to every element (a vector of another shape is broadcast)"
        changed = (mean.abs() > 1e-3 * float(delta.abs().amax())).sum()
        if int(changed) < len(mean):
            return f"only {int(changed)} of {len(mean)} elements of the vector are added"
        return "another direction than the steering vector is added"
    return ""
