"""What a comparison lets pass, and what it says of what it does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pytest_steering.errors import Violation
from pytest_steering.oracle import comparison
from pytest_steering.oracle.tolerance import furthest

PLAIN = torch.arange(24.0).reshape(2, 3, 4)
VECTOR = torch.tensor([1.0, -2.0, 3.0, -2.0])
ASKED = torch.ones(2, 3, dtype=torch.bool)


def test_a_scale_that_no_element_shows_shows_in_their_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(2, 4, 4096, generator=generator).bfloat16()
    vector = torch.randn(4096, generator=generator)
    steered = (plain.double() + 1.002 * vector.double()).bfloat16()
    with pytest.raises(Violation, match=r"the mean scale is 1\.00\d+ times the plan's; allowed 1 ± "):
        comparison.arrives(steered, plain, vector, 1.0, torch.ones(2, 4, dtype=torch.bool), where="")


def test_what_was_infinite_before_may_stay_so_and_nothing_else_may() -> None:
    plain = PLAIN.clone()
    plain[0, 1, 2] = torch.inf
    steered = plain + VECTOR
    comparison.arrives(steered, plain, VECTOR, 1.0, ASKED, where="")
    comparison.arrives(plain, plain, VECTOR, 1.0, ~ASKED, where="")
    steered[0, 1, 2] = -torch.inf
    with pytest.raises(Violation, match=r"max .Δ. inf at row 0, position 1"):
        comparison.arrives(steered, plain, VECTOR, 1.0, ASKED, where="")
    steered[0, 1, 2], steered[1, 2, 0] = torch.inf, torch.inf
    with pytest.raises(Violation, match=r"max .Δ. inf at row 1, position 2"):
        comparison.arrives(steered, plain, VECTOR, 1.0, ASKED, where="")


def test_what_was_no_number_before_must_stay_none_and_nothing_else_may_become_one() -> None:
    plain = PLAIN.clone()
    plain[0, 1, 2] = torch.nan
    steered = plain + VECTOR
    comparison.arrives(steered, plain, VECTOR, 1.0, ASKED, where="")
    for row, column, element, value in ((0, 1, 2, 5.0), (1, 2, 0, torch.nan)):
        other = steered.clone()
        other[row, column, element] = value
        with pytest.raises(Violation, match=rf"max .Δ. inf at row {row}, position {column}"):
            comparison.arrives(other, plain, VECTOR, 1.0, ASKED, where="")


def test_the_worst_stream_of_several_is_named() -> None:
    plain = torch.zeros(2, 3, 2, 4)
    steered = plain + VECTOR
    comparison.arrives(steered, plain, VECTOR, 1.0, ASKED, where="")
    steered[1, 2, 1] = 0
    with pytest.raises(Violation, match=r"at row 1, stream 1, position 2; allowed 2 ulp"):
        comparison.arrives(steered, plain, VECTOR, 1.0, ASKED, where="")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (PLAIN[:1], r"the logits: float32 \(1, 3, 4\) instead of float32 \(2, 3, 4\)"),
        (PLAIN.half(), r"the logits: float16 \(2, 3, 4\) instead of float32 \(2, 3, 4\)"),
        (PLAIN.where(PLAIN < 22, 24.0), r"the logits: max .Δ. 2\.0e\+00, 2 of 24 values; allowed 0"),
    ],
    ids=["shape", "dtype", "values"],
)
def test_what_is_not_identical(found: Tensor, said: str) -> None:
    comparison.identical(PLAIN, PLAIN.clone(), "the logits")
    with pytest.raises(Violation, match=said):
        comparison.identical(found, PLAIN, "the logits")


def test_the_first_other_token_is_named() -> None:
    wanted = torch.arange(6).reshape(2, 3)
    comparison.same_tokens(wanted.clone(), wanted, "the sequences")
    found = wanted.clone()
    found[0, 2] = found[1, 1] = 9
    with pytest.raises(Violation, match="the sequences: the first other token is at row 0, position 2"):
        comparison.same_tokens(found, wanted, "the sequences")
    with pytest.raises(Violation, match=r"the sequences: \(2, 2\) tokens instead of \(2, 3\)"):
        comparison.same_tokens(wanted[:, :2], wanted, "the sequences")


def test_what_is_close_is_within_rounding_and_the_floor() -> None:
    comparison.close(PLAIN * (1 + 1e-7), PLAIN, "the logits")
    with pytest.raises(Violation, match=r"the logits: max .Δ. 2\.3e-02; allowed 4\.4e-05"):
        comparison.close(PLAIN * 1.001, PLAIN, "the logits")
    comparison.close(PLAIN * 1.001, PLAIN, "the logits", floor=0.01)
    with pytest.raises(Violation, match=r"the logits: shape \(1, 3, 4\) instead of \(2, 3, 4\)"):
        comparison.close(PLAIN[:1], PLAIN, "the logits")


def test_nothing_is_as_far_apart_as_nothing() -> None:
    nothing, nan = torch.empty(0, 4), torch.tensor([1.0, torch.nan])
    assert furthest(nothing, nothing) == 0
    assert furthest(nan, nan) == 0
    assert furthest(nan, torch.tensor([1.5, torch.nan])) == 0.5
    assert furthest(nan, torch.tensor([1.5, 2.0])) == torch.inf
