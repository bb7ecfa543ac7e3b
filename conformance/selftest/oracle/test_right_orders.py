"""No right way to compute ``h + scale * v`` is failed, in any dtype and size, and a wrong scale is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor

from pytest_steering.errors import Violation
from pytest_steering.oracle import comparison
from pytest_steering.oracle.tolerance import right_sums

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
KINDS = ["dense", "sparse", "one-hot", "constant", "wide", "nearly constant", "signs"]
SIZES = [1e-3, 0.02, 1.0, 155.0]
ASKED = torch.ones(2, 4, dtype=torch.bool)

Order = Callable[[Tensor, Tensor, float], Tensor]
ORDERS: dict[str, Order] = {
    "product rounded once": lambda h, v, s: h + (v.double() * s).to(h.dtype),
    "product in the vector's dtype": lambda h, v, s: h + (s * v).to(h),
    "product in the model's dtype": lambda h, v, s: h + s * v.to(h),
    "product of singles": lambda h, v, s: h + (v.float() * torch.tensor(s, dtype=torch.float32)).to(h),
    "sum of doubles": lambda h, v, s: (h.double() + s * v.double()).to(h.dtype),
    "sum of singles": lambda h, v, s: (h.to(_wide(h)) + s * v.to(_wide(h))).to(h.dtype),
    "sum of singles, vector rounded": lambda h, v, s: (h.to(_wide(h)) + s * v.to(h).to(_wide(h))).to(h.dtype),
    "one operation": lambda h, v, s: torch.add(h.to(_wide(h)), v.to(_wide(h)), alpha=s).to(h.dtype),
    "in place": lambda h, v, s: h.clone().add_((v * s).to(h)),
    "masked": lambda h, v, s: h + torch.ones_like(h[..., :1]) * (s * v).to(h),
}
"""As adapters write it, each for itself."""


def _wide(h: Tensor) -> torch.dtype:
    return torch.promote_types(h.dtype, torch.float32)


def vector_of(kind: str, width: int, generator: torch.Generator) -> Tensor:
    dense = torch.randn(width, generator=generator)
    one = torch.zeros(width)
    one[int(torch.randint(width, (1,), generator=generator))] = 0.5 + float(torch.rand(1, generator=generator))
    return {
        "dense": dense - dense.mean(),
        "sparse": dense * (torch.rand(width, generator=generator) < 0.2) + one,
        "one-hot": one,
        "constant": torch.full((width,), float(one.amax())),
        "nearly constant": float(one.amax()) * (1 + 1e-6 * dense),
        "signs": float(one.amax()) * dense.sign(),
        "wide": dense * torch.logspace(-4, 1, width),
    }[kind]


def scales(largest: float, dtype: torch.dtype, count: int, generator: torch.Generator) -> Iterator[float]:
    """Zero, the edges, ordinary ones, and every order of magnitude that a single can hold and nothing overflows at."""
    single = torch.finfo(torch.float32).max
    most = min(torch.finfo(dtype).max / 8 / largest, single / 8 / largest, single / 8)
    yield from (0.0, 1e-12, 1e-40, most, -most)
    for _ in range(count):
        sign, power, ordinary = (2 * torch.rand(3, generator=generator, dtype=torch.float64) - 1).tolist()
        yield math.copysign(most * 10 ** (-8 * abs(power)), sign)
        yield math.copysign(min(most, 1e38) ** power, sign) if most > 1 else most * power
        yield max(-most, min(most, 1000 * ordinary))


def false_alarms(
    dtype: torch.dtype, width: int, size: float, count: int, *, kinds: Sequence[str] = KINDS, seed: int = 0
) -> tuple[int, list[str]]:
    """How many right sums were compared, and those that were failed."""
    generator = torch.Generator().manual_seed(seed)
    plain = (torch.randn(2, 4, width, generator=generator) * size).to(dtype)
    plain[0, 0, :3] = 0  # untouched channels
    plain[..., -1] *= 30  # one that is large everywhere
    compared, alarms = 0, []
    for kind in kinds:
        vector = vector_of(kind, width, generator) * size
        for scale in scales(float(vector.abs().amax()), dtype, count, generator):
            for name, order in ORDERS.items():
                compared += 1
                try:
                    comparison.arrives(order(plain, vector, scale), plain, vector, scale, ASKED, where="")
                except Violation as violation:
                    alarms.append(f"{dtype} {width} {size} {kind} {scale!r} {name}: {violation.detail}")
    return compared, alarms


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_no_right_order_is_failed(dtype: torch.dtype, size: float) -> None:
    compared, alarms = false_alarms(dtype, 96, size, count=1)
    assert compared > 500
    assert alarms == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_nor_at_a_real_width(dtype: torch.dtype) -> None:
    assert false_alarms(dtype, 2048, 0.02, count=1, kinds=("dense", "nearly constant"))[1] == []


def test_nor_where_the_smallest_numbers_count_as_zero() -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine keeps them")
    try:
        for dtype in DTYPES:
            assert false_alarms(dtype, 32, 1e-3, count=1, kinds=("dense", "constant"))[1] == []
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("factor", [0.99, 1.01, 0.5, -1.0, 0.0])
def test_another_scale_is_failed_in_every_order(dtype: torch.dtype, size: float, factor: float) -> None:
    generator = torch.Generator().manual_seed(1)
    plain = (torch.randn(2, 4, 96, generator=generator) * size).to(dtype)
    vector = vector_of("dense", 96, generator) * size
    for scale in (1.0, -0.3, 7.0, 3 / size):
        for order in ORDERS.values():
            with pytest.raises(Violation):
                comparison.arrives(order(plain, vector, scale * factor), plain, vector, scale, ASKED, where="")


@pytest.mark.parametrize(("dtype", "scale"), [(torch.bfloat16, 0.3016), (torch.float16, 0.30065)], ids=str)
def test_a_scale_that_was_rounded_to_half_precision_is_another_scale(dtype: torch.dtype, scale: float) -> None:
    generator = torch.Generator().manual_seed(2)
    plain = torch.randn(2, 4, 4096, generator=generator).to(dtype)
    vector = vector_of("dense", 4096, generator)
    rounded = float(torch.tensor(scale, dtype=dtype))
    assert abs(rounded / scale - 1) > torch.finfo(dtype).eps / 4
    with pytest.raises(Violation, match="the mean scale is"):
        comparison.arrives(plain + (rounded * vector).to(dtype), plain, vector, scale, ASKED, where="")


def test_a_right_order_may_be_further_off_than_two_units_and_a_wrong_one_no_further() -> None:
    plain = torch.zeros(2, 4, 4, dtype=torch.float16)
    vector, scale = torch.tensor([1e-3, 2.1e-7, -1e-3, 3.2e-7]), 1e6
    rounded = scale * vector.half()
    assert abs(float(rounded[1]) / 0.21 - 1) > 0.1
    comparison.arrives(plain + rounded, plain, vector, scale, ASKED, where="")
    with pytest.raises(Violation, match="allowed 2 ulp"):
        comparison.arrives(plain + rounded * torch.tensor([1, 1.5, 1, 1]).half(), plain, vector, scale, ASKED, where="")


def test_an_infinity_of_another_order_allows_none() -> None:
    plain = torch.full((2, 4, 4), 60000.0, dtype=torch.float16)
    vector = torch.full((4,), 5000.0)
    steered = plain + torch.tensor([5000, 5000, torch.inf, 5000]).half()
    with pytest.raises(Violation, match="inf"):
        comparison.arrives(steered, plain, vector, 1.0, ASKED, where="")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_right_sums_keep_the_dtype(dtype: torch.dtype) -> None:
    plain = torch.randn(2, 4, 8).to(dtype)
    assert {(right.dtype, right.shape) for right in right_sums(plain, torch.randn(8), 0.3)} == {(dtype, plain.shape)}
