"""What the delta that arrived looks like beside the one that should have: which tokens, and how much of what."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.strength import likely_elements, rounded_to

_MOVED = 1e-3
"""Of the largest element of the delta: what moves less was not steered."""


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
    before: Tensor | None = None
    """``(rows, columns, hidden_size)``: the unsteered residual stream."""

    def moved(self) -> Tensor:
        """``(rows, columns)``: the tokens at which something was added."""
        size = float((self.vector * self.scale).abs().amax())
        return self.observed.abs().amax(-1) > _MOVED * size

    def arriving_scales(self) -> Tensor:
        """The scale that arrives at each token to steer: by how many vectors it moved."""
        largest = self.vector.abs().amax()
        # Squares of the tiniest vectors are zero even in double precision; those of a direction are not.
        direction = self.vector / largest
        return self.observed[self.where] @ direction / (direction @ direction) / largest


def likely_cause(evidence: Evidence) -> Diagnosis | None:
    """The bug class that the pattern points to, or an empty string for a pattern that no class explains."""
    if evidence.scale == 0:
        return Diagnosis(Cause.AT_ZERO) if bool(evidence.observed.any()) else None
    moved = evidence.moved()
    if not bool(evidence.where.any()):
        if bool(moved.all()):
            return Diagnosis(Cause.ALL_POSITIONS)
        return Diagnosis(Cause.EXTRA_TOKENS) if bool(moved.any()) else None
    if not bool(moved.any()):
        return Diagnosis(Cause.NEVER)
    if not torch.equal(moved, evidence.where):
        return likely_tokens(moved, evidence)
    return _wrong_scale(evidence)


def likely_tokens(moved: Tensor, evidence: Evidence) -> Diagnosis | None:
    """The bug class of a vector that is added at other tokens than those to steer."""
    where = evidence.where
    if evidence.streams > 1:
        steered = moved.reshape(-1, evidence.streams, moved.shape[1]).any(2).any(0)
        if not bool(steered.all()):
            return Diagnosis(Cause.STREAMS, f"only {steered.nonzero().flatten().tolist()} of {evidence.streams}")
    missed, extra = where & ~moved, moved & ~where
    if torch.equal(moved, where.reshape(where.shape[1], where.shape[0]).T):
        return Diagnosis(Cause.EXCHANGED)
    if bool(extra[:, : evidence.own].any()):
        return Diagnosis(Cause.OWN)
    if evidence.padding is not None and bool((extra & evidence.padding).any()):
        return Diagnosis(Cause.PADDING)
    rows = moved.any(1)
    if bool(missed.any()) and not torch.equal(rows, where.any(1)) and torch.equal(moved[rows], where[rows]):
        return likely_rows(moved.any(1), where.any(1))
    if not bool(extra.any()):
        return _missed_columns(missed, moved, where)
    if moved.shape[1] > 1 and torch.equal(moved[:, 1:], where[:, :-1]):
        return Diagnosis(Cause.OFF_BY_ONE, "one too late")
    if moved.shape[1] > 1 and torch.equal(moved[:, :-1], where[:, 1:]):
        return Diagnosis(Cause.OFF_BY_ONE, "one too early")
    if not bool(missed.any()):
        if bool(moved.all()):
            return Diagnosis(Cause.ALL_POSITIONS)
        return Diagnosis(Cause.EXTRA_TOKENS, "beside those that are")
    return None


def likely_rows(moved: Tensor, asked: Tensor) -> Diagnosis | None:
    """The bug class of a batch of which some rows are not steered; two masks of shape ``(rows,)``."""
    silent = (asked & ~moved).nonzero().flatten().tolist()
    if not bool(moved.any()):
        return None
    if len(moved) == 2 and silent == [1]:
        # The last row, every other row, all but row 0: two rows do not tell.
        return Diagnosis(Cause.SOME_ROWS, "row 1 of 2, as by output[0] on a layer that returns a tensor")
    if not bool(moved[1:].any()):
        return Diagnosis(Cause.ROW_ZERO)
    if len(moved) > 2 and silent == list(range(1, len(moved), 2)):
        return Diagnosis(Cause.OTHER_ROWS, f"{silent} of {len(moved)} rows are not")
    if silent == [len(moved) - 1]:
        return Diagnosis(Cause.LAST_ROW, f"row {silent[0]} of {len(moved)} rows")
    return Diagnosis(Cause.SOME_ROWS, f"{silent} of {len(moved)} rows")


def _missed_columns(missed: Tensor, moved: Tensor, where: Tensor) -> Diagnosis | None:
    columns = moved.any(0).nonzero().flatten().tolist()
    if columns == [moved.shape[1] - 1]:
        return Diagnosis(Cause.LAST_POSITION)
    if columns == [0]:
        return Diagnosis(Cause.POSITIONS, "all but the first")
    gone = missed.any(0).nonzero().flatten().tolist()
    if gone == [0]:
        return Diagnosis(Cause.POSITIONS, "the first")
    if gone == [int(where.any(0).nonzero().max())]:
        return Diagnosis(Cause.POSITIONS, "the last")
    if columns and gone == list(range(columns[-1] + 1, moved.shape[1])) and columns == list(range(gone[0])):
        return Diagnosis(Cause.FIRST_TOKENS, f"{gone[0]} of {moved.shape[1]}")
    return Diagnosis(Cause.POSITIONS, f"{gone}")


def _wrong_scale(evidence: Evidence) -> Diagnosis | None:
    vector, scale = evidence.vector, evidence.scale
    observed, arriving = evidence.observed[evidence.where], evidence.arriving_scales()
    size = float(observed.norm())
    along = arriving.unsqueeze(-1) * vector
    mean = observed.mean(0)
    alike = float((observed - mean).norm()) <= 0.01 * size
    if alike and (said := likely_elements(mean, vector * scale)):
        return said
    if said := _of_what_was_there(evidence, arriving):
        return said
    if float((observed - along).norm()) > 0.05 * size:
        return Diagnosis(Cause.DIRECTION) if alike else None
    mean_scale = float(arriving.mean())
    if float((arriving - mean_scale).abs().amax()) > 0.01 * abs(mean_scale):
        return Diagnosis(Cause.UNEVEN, f"{float(arriving.min()):.4g} to {float(arriving.max()):.4g} vectors")
    if dtype := rounded_to(mean, vector, scale):
        return Diagnosis(Cause.ROUNDED, f"to {dtype}")
    return likely_scale(mean_scale, scale, float(vector.norm()), int(evidence.where.shape[1]))


def likely_scale(mean_scale: float, scale: float, norm: float, columns: int) -> Diagnosis | None:
    """The bug class of a scale that is the same at every token: ``mean_scale`` vectors where ``scale`` were asked for.

    ``columns`` is how many tokens the pass has, ``norm`` that of the vector.
    """
    for factor, cause in (
        (2.0, Cause.TWICE),
        (abs(scale) / scale, Cause.SIGN),
        (-1.0, Cause.SUBTRACTED),
        (1 / scale, Cause.SCALE_IGNORED),
        (1 / norm, Cause.NORMALISED),
        (scale, Cause.SCALE_TWICE),
        (1 / columns, Cause.DIVIDED),
    ):
        if factor != 1.0 and abs(mean_scale - scale * factor) <= 1e-3 * abs(scale * factor):
            return Diagnosis(cause)
    if abs(mean_scale / scale - 1) < 1e-3:
        return Diagnosis(Cause.PRECISION)
    return Diagnosis(Cause.ANOTHER_SCALE, f"{mean_scale / scale:.4g} times what the plan says")


def _of_what_was_there(evidence: Evidence, arriving: Tensor) -> Diagnosis | None:
    """The bug class of an addition that depends on the residual stream that it is added to."""
    if evidence.before is None:
        return None
    before = evidence.before[evidence.where]
    after = before + evidence.observed[evidence.where]
    vector, scale = evidence.vector, evidence.scale
    felt = bool(((after - before).norm(dim=-1) > 0.1 * before.norm(dim=-1)).all())
    if felt and bool(((after.norm(dim=-1) / before.norm(dim=-1) - 1).abs() < 1e-3).all()):
        return Diagnosis(Cause.NORM_KEPT)
    component = after @ vector / (vector @ vector)
    if float((arriving - scale).abs().amax()) > 0.01 * abs(scale) and bool(
        ((component - scale).abs() <= 1e-3 * abs(scale)).all()
    ):
        return Diagnosis(Cause.COMPONENT, f"it is {scale:g} at every token")
    return None


def likely_beams(found: Tensor, wanted: Tensor, delta: Tensor, rows: int) -> Diagnosis | None:
    """The bug class of a beam search of which some rows are not steered; ``rows`` is how many the prompt has.

    ``found`` and ``wanted`` are the residual stream after the steered layer in one pass, ``delta`` what is added there.
    """
    if found.shape != wanted.shape or found.ndim != 3:
        return None
    delta = delta.double().to(found.device)
    off = (found.double() - wanted.double()).flatten(1).abs().amax(1) > 1e-3 * float(delta.abs().amax())
    unsteered = _is_each(found.double() + delta - wanted.double(), delta) & off
    if not bool(off.any()) or not torch.equal(unsteered, off):
        return None
    if len(off) > rows and off.tolist() == [row >= rows for row in range(len(off))]:
        return Diagnosis(Cause.BEAMS, f"{rows} of {len(off)} rows")
    return likely_rows(~off, torch.ones_like(off))


def _is_each(left: Tensor, delta: Tensor) -> Tensor:
    """``(rows,)``: the rows in which nothing is left but rounding."""
    return left.flatten(1).abs().amax(1) <= 1e-2 * float(delta.abs().amax())
