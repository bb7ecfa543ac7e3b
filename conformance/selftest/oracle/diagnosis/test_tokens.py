"""Which tokens moved, and how far: patterns that look alike and are told apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.tokens import Evidence, likely_cause, likely_scale

ROWS, COLUMNS = 4, 5
VECTOR = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.5, 0.25, -0.75, -0.5], dtype=torch.float64)
SCALE = 2.5


def at(*columns: int) -> Tensor:
    mask = torch.zeros(ROWS, COLUMNS, dtype=torch.bool)
    mask[:, list(columns)] = True
    return mask


ALL = at(*range(COLUMNS))


def said(moved: Tensor, where: Tensor = ALL, *, streams: int = 1, own: int = 0) -> Diagnosis | None:
    observed = moved.unsqueeze(-1) * VECTOR * SCALE
    return likely_cause(Evidence(observed, VECTOR, SCALE, where, streams=streams, own=own))


@pytest.mark.parametrize(
    ("moved", "where", "expected"),
    [
        (at(), at(), None),
        (at(1), at(), Diagnosis(Cause.EXTRA_TOKENS)),
        (ALL, at(), Diagnosis(Cause.ALL_POSITIONS)),
        (ALL, at(2), Diagnosis(Cause.ALL_POSITIONS)),
        (at(2, 4), at(2), Diagnosis(Cause.EXTRA_TOKENS, "beside those that are")),
        (at(0, 1), ALL, Diagnosis(Cause.FIRST_TOKENS, "2 of 5")),
        (at(0, 1), at(0, 1, 2, 3), Diagnosis(Cause.POSITIONS, "[2, 3]")),
        (at(0, 1, 3), ALL, Diagnosis(Cause.POSITIONS, "[2, 4]")),
        (at(0, 4), at(1, 3), None),
    ],
)
def test_which_tokens(moved: Tensor, where: Tensor, expected: Diagnosis | None) -> None:
    assert said(moved, where) == expected


def test_what_stands_before_the_tokens_is_the_models_own() -> None:
    assert said(ALL, at(1, 2, 3, 4), own=1) == Diagnosis(Cause.OWN)
    assert said(at(0, 2), at(0), own=1) == Diagnosis(Cause.EXTRA_TOKENS, "beside those that are")


def test_a_stream_that_is_left_out_is_named() -> None:
    """Rows 0 and 1 are the two streams of the first row."""
    moved = ALL.clone()
    moved[1::2] = False
    assert said(moved, streams=2) == Diagnosis(Cause.STREAMS, "only [0] of 2")


def test_one_vector_too_far_off_is_another_direction() -> None:
    other = VECTOR.roll(3)
    observed = (ALL.unsqueeze(-1) * other * SCALE).double()
    assert likely_cause(Evidence(observed, VECTOR, SCALE, ALL)) == Diagnosis(Cause.DIRECTION)


def test_what_has_the_right_component_replaced_none() -> None:
    """Beside a residual stream without the vector in it, a right component and noise are no replacement."""
    noise = torch.randn(ROWS, COLUMNS, len(VECTOR), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    across = noise - (noise @ VECTOR / (VECTOR @ VECTOR)).unsqueeze(-1) * VECTOR
    observed = SCALE * VECTOR + across
    assert likely_cause(Evidence(observed, VECTOR, SCALE, ALL, before=across.flip(0))) is None


@pytest.mark.parametrize(
    ("arriving", "scale", "expected"),
    [
        (2.5, -2.5, Diagnosis(Cause.SIGN)),
        (-2.5, 2.5, Diagnosis(Cause.SUBTRACTED)),
        (2.501, 2.5, Diagnosis(Cause.PRECISION)),
        (2.51, 2.5, Diagnosis(Cause.ANOTHER_SCALE, "1.004 times what the plan says")),
    ],
)
def test_which_scale(arriving: float, scale: float, expected: Diagnosis) -> None:
    assert likely_scale(arriving, scale, norm=4.0, columns=COLUMNS) == expected
