"""How close is equal, per dtype: what must pass passes, what must not does not."""

from __future__ import annotations

import pytest
import torch

from pytest_steering.errors import Violation
from pytest_steering.oracle import comparison
from pytest_steering.oracle.tolerance import furthest, rounding, ulp

ASKED = torch.ones(2, 4, dtype=torch.bool)


def states(dtype: torch.dtype, size: float = 1.0, width: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    plain = (torch.randn(2, 4, width, generator=generator) * size).to(dtype)
    vector = torch.randn(width, generator=generator)
    return plain, vector - vector.mean()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [1.0, -0.5, 30.0])
def test_a_right_addition_passes(dtype: torch.dtype, scale: float) -> None:
    plain, vector = states(dtype)
    steered = plain + (vector.double() * scale).to(dtype)
    comparison.arrives(steered, plain, vector, scale, ASKED, where="")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_one_percent_too_much_fails(dtype: torch.dtype) -> None:
    plain, vector = states(dtype)
    steered = plain + (vector.double() * 1.01).to(dtype)
    with pytest.raises(Violation):
        comparison.arrives(steered, plain, vector, 1.0, ASKED, where="")


def test_one_bit_of_the_vector_is_rounding_however_few_elements_carry_it() -> None:
    plain, _ = states(torch.float32, size=1e-3, width=6144)
    vector = torch.zeros(6144)
    vector[7] = 1.7
    one_bit_more = torch.nextafter(vector, torch.full_like(vector, 9.0)) * (vector != 0)
    comparison.arrives(plain + one_bit_more, plain, vector, 1.0, ASKED, where="")


def test_equal_elements_are_rounded_alike() -> None:
    plain, _ = states(torch.bfloat16, width=6144)
    for size in torch.linspace(0.4, 0.9, 40).tolist():
        constant = torch.full((6144,), size)
        comparison.arrives(plain + constant.to(torch.bfloat16), plain, constant, 1.0, ASKED, where="")


def test_what_bfloat16_absorbs_is_no_fault() -> None:
    plain = torch.full((2, 4, 64), 200.0, dtype=torch.bfloat16)
    vector = torch.full((64,), 0.3)
    assert torch.equal(plain + vector.to(torch.bfloat16), plain)
    comparison.arrives(plain, plain, vector, 1.0, ASKED, where="")


@pytest.mark.parametrize("scale", [1e-146, -1e-200, 1e-300, 5e-324])
def test_a_dose_whose_square_is_zero_is_absorbed(scale: float) -> None:
    plain, vector = states(torch.float32)
    comparison.arrives(plain, plain, vector, scale, ASKED, where="")
    with pytest.raises(Violation):
        comparison.arrives(plain + vector, plain, vector, scale, ASKED, where="")


def test_one_bit_elsewhere_fails() -> None:
    plain, vector = states(torch.float32)
    asked = ASKED.clone()
    asked[1, 2] = False
    steered = plain + vector
    steered[1, 2] = plain[1, 2]
    comparison.arrives(steered, plain, vector, 1.0, asked, where="")
    steered[1, 2, 7] = torch.nextafter(plain[1, 2, 7], torch.tensor(9.0))
    with pytest.raises(Violation, match="at row 1, position 2; allowed none"):
        comparison.arrives(steered, plain, vector, 1.0, asked, where="")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_fails(value: float) -> None:
    plain, vector = states(torch.float32)
    steered = plain + vector
    steered[0, 3, 5] = value
    with pytest.raises(Violation, match=r"max .Δ. inf at row 0, position 3"):
        comparison.arrives(steered, plain, vector, 1.0, ASKED, where="")


def test_another_dtype_fails() -> None:
    plain, vector = states(torch.bfloat16)
    with pytest.raises(Violation, match="float32 arrives, bfloat16 without steering"):
        comparison.arrives(plain.float() + vector, plain, vector, 1.0, ASKED, where="")


def test_units_in_the_last_place() -> None:
    values = torch.tensor([1.0, 1.5, 2.0, 200.0, 0.75], dtype=torch.float64)
    assert ulp(values, torch.bfloat16).tolist() == [2**-7, 2**-7, 2**-6, 1.0, 2**-8]


def test_the_last_of_many_numbers_counts() -> None:
    one = torch.zeros(3, 2**20 + 7)
    other = one.clone()
    other[-1, -1] = -2.0
    assert furthest(one, other) == 2.0
    assert furthest(one[:1], other) == 2.0
    assert rounding(other) == 2 * rounding(other / 2) > 0
    assert furthest(one[:0], other[:0]) == rounding(one[:0]) == 0.0
