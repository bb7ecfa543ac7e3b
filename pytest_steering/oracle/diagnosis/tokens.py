"""What the delta that arrived looks like beside the one that should have: which tokens, and how much of what."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pytest_steering.oracle.diagnosis.causes import Cause
from pytest_steering.oracle.diagnosis.strength import likely_elements, rounded_to

NEVER = f"{Cause.NEVER}: no hook fires, or what it returns is thrown away"

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

    def doses(self) -> Tensor:
        """The dose at each token to steer: by how many vectors it moved."""
        return self.observed[self.where] @ self.vector / (self.vector @ self.vector)


def likely_cause(evidence: Evidence) -> str:
    """The bug class that the pattern points to, or an empty string for a pattern that no class explains."""
    if evidence.scale == 0:
        return Cause.AT_ZERO if bool(evidence.observed.any()) else ""
    moved = evidence.moved()
    if not bool(evidence.where.any()):
        if bool(moved.all()):
            return Cause.ALL_POSITIONS
        return "tokens that are not in the plan's positions are steered" if bool(moved.any()) else ""
    if not bool(moved.any()):
        return NEVER
    if not torch.equal(moved, evidence.where):
        return likely_tokens(moved, evidence)
    return _wrong_dose(evidence)


def likely_tokens(moved: Tensor, evidence: Evidence) -> str:
    """The bug class of a vector that is added at other tokens than those to steer."""
    where = evidence.where
    if evidence.streams > 1:
        steered = moved.reshape(-1, evidence.streams, moved.shape[1]).any(2).any(0)
        if not bool(steered.all()):
            return f"{Cause.STREAMS} {steered.nonzero().flatten().tolist()} are steered"
    missed, extra = where & ~moved, moved & ~where
    if torch.equal(moved, where.reshape(where.shape[1], where.shape[0]).T):
        return f"{Cause.EXCHANGED} (the mask is laid over the residual stream as its memory lies)"
    if bool(extra[:, : evidence.own].any()):
        return Cause.OWN
    if evidence.padding is not None and bool((extra & evidence.padding).any()):
        return f"{Cause.PADDING} (the attention mask is ignored)"
    rows = moved.any(1)
    if bool(missed.any()) and not torch.equal(rows, where.any(1)) and torch.equal(moved[rows], where[rows]):
        return likely_rows(moved.any(1), where.any(1))
    if not bool(extra.any()):
        return _missed_columns(missed, moved, where)
    if moved.shape[1] > 1 and torch.equal(moved[:, 1:], where[:, :-1]):
        return f"{Cause.OFF_BY_ONE} (one too late)"
    if moved.shape[1] > 1 and torch.equal(moved[:, :-1], where[:, 1:]):
        return f"{Cause.OFF_BY_ONE} (one too early)"
    if not bool(missed.any()):
        if bool(moved.all()):
            return Cause.ALL_POSITIONS
        return "tokens that are not in the plan's positions are steered too"
    return ""


def likely_rows(moved: Tensor, asked: Tensor) -> str:
    """The bug class of a batch of which some rows are not steered; two masks of shape ``(rows,)``."""
    silent = (asked & ~moved).nonzero().flatten().tolist()
    if not bool(moved.any()):
        return ""
    if len(moved) == 2 and silent == [1]:
        # The last row, every other row, all but row 0: two rows do not tell.
        return f"{Cause.SOME_ROWS}: row 1 of 2, as by output[0] on a layer that returns a tensor"
    if not bool(moved[1:].any()):
        return f"{Cause.ROW_ZERO} (output[0] on a layer that returns a tensor)"
    if len(moved) > 2 and silent == list(range(1, len(moved), 2)):
        return f"{Cause.OTHER_ROWS}: {silent} of {len(moved)} rows are not"
    if silent == [len(moved) - 1]:
        return f"{Cause.LAST_ROW}: row {silent[0]} of {len(moved)} rows"
    return f"{Cause.SOME_ROWS}: {silent} of {len(moved)} rows"


def _missed_columns(missed: Tensor, moved: Tensor, where: Tensor) -> str:
    columns = moved.any(0).nonzero().flatten().tolist()
    if columns == [moved.shape[1] - 1]:
        return Cause.LAST_POSITION
    if columns == [0]:
        return "only the first position of a pass is steered"
    gone = missed.any(0).nonzero().flatten().tolist()
    if gone == [0]:
        return "the first position is left out"
    if gone == [int(where.any(0).nonzero().max())]:
        return "the last position is left out"
    if columns and gone == list(range(columns[-1] + 1, moved.shape[1])) and columns == list(range(gone[0])):
        return f"{Cause.FIRST_TOKENS}: {gone[0]} of {moved.shape[1]}"
    return f"positions {gone} are left out"


def _wrong_dose(evidence: Evidence) -> str:
    vector, scale = evidence.vector, evidence.scale
    observed, doses = evidence.observed[evidence.where], evidence.doses()
    size = float(observed.norm())
    along = doses.unsqueeze(-1) * vector
    mean = observed.mean(0)
    alike = float((observed - mean).norm()) <= 0.01 * size
    if alike and (said := likely_elements(mean, vector * scale)):
        return said
    if said := _of_what_was_there(evidence, doses):
        return said
    if float((observed - along).norm()) > 0.05 * size:
        return "another direction than the steering vector is added" if alike else ""
    dose = float(doses.mean())
    if float((doses - dose).abs().amax()) > 0.01 * abs(dose):
        return f"the dose is not the same at every token: {float(doses.min()):.4g} to {float(doses.max()):.4g} vectors"
    if dtype := rounded_to(mean, vector, scale):
        return f"{Cause.ROUNDED} {dtype}"
    return likely_dose(dose, scale, float(vector.norm()), int(evidence.where.shape[1]))


def likely_dose(dose: float, scale: float, norm: float, columns: int) -> str:
    """The bug class of a dose that is the same at every token: ``dose`` vectors where ``scale`` were asked for.

    ``columns`` is how many tokens the pass has, ``norm`` that of the vector.
    """
    for factor, cause in (
        (2.0, Cause.TWICE),
        (abs(scale) / scale, Cause.SIGN),
        (-1.0, f"{Cause.SUBTRACTED} (its sign is lost)"),
        (1 / scale, Cause.SCALE_IGNORED),
        (1 / norm, Cause.NORMALISED),
        (scale, Cause.SCALE_TWICE),
        (1 / columns, f"{Cause.DIVIDED} in the pass"),
    ):
        if factor != 1.0 and abs(dose - scale * factor) <= 1e-3 * abs(scale * factor):
            return cause
    if abs(dose / scale - 1) < 1e-3:
        return "the vector loses precision on its way"
    return f"the dose is {dose / scale:.4g} times what the plan says"


def _of_what_was_there(evidence: Evidence, doses: Tensor) -> str:
    """The bug class of an addition that depends on the residual stream that it is added to."""
    if evidence.before is None:
        return ""
    before = evidence.before[evidence.where]
    after = before + evidence.observed[evidence.where]
    vector, scale = evidence.vector, evidence.scale
    felt = bool(((after - before).norm(dim=-1) > 0.1 * before.norm(dim=-1)).all())
    if felt and bool(((after.norm(dim=-1) / before.norm(dim=-1) - 1).abs() < 1e-3).all()):
        return f"{Cause.NORM_KEPT} (each token's is what it was)"
    component = after @ vector / (vector @ vector)
    if float((doses - scale).abs().amax()) > 0.01 * abs(scale) and bool(
        ((component - scale).abs() <= 1e-3 * abs(scale)).all()
    ):
        return f"{Cause.COMPONENT}: it is {scale:g} at every token"
    return ""


def likely_beams(found: Tensor, wanted: Tensor, delta: Tensor, rows: int) -> str:
    """The bug class of a beam search of which some rows are not steered; ``rows`` is how many the prompt has.

    ``found`` and ``wanted`` are the residual stream after the steered layer in one pass, ``delta`` what is added there.
    """
    if found.shape != wanted.shape or found.ndim != 3:
        return ""
    delta = delta.double().to(found.device)
    off = (found.double() - wanted.double()).flatten(1).abs().amax(1) > 1e-3 * float(delta.abs().amax())
    unsteered = _is_each(found.double() + delta - wanted.double(), delta) & off
    if not bool(off.any()) or not torch.equal(unsteered, off):
        return ""
    if len(off) > rows and off.tolist() == [row >= rows for row in range(len(off))]:
        return f"{Cause.BEAMS}: {rows} of {len(off)} rows"
    return likely_rows(~off, torch.ones_like(off))


def _is_each(left: Tensor, delta: Tensor) -> Tensor:
    """``(rows,)``: the rows in which nothing is left but rounding."""
    return left.flatten(1).abs().amax(1) <= 1e-2 * float(delta.abs().amax())
