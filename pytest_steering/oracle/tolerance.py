"""How close is equal, per dtype: exact, within rounding of one addition, or within rounding of another kernel."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from pytest_steering.adapters.protocol import SteeringAdapter, accumulates

ULPS = 2
"""Allowed error of one steered element, in units in the last place of the layer's dtype."""

ACCUMULATED_ULPS = 32
"""The same for an adapter that adds inside a matrix product, which rounds after each of its terms."""

_SCALE_EPS = 3.5
"""Allowed relative error of the scale in machine epsilons, for a vector that one element carries."""

_AT_A_TIME = 2**20

_KERNEL_EPS = {torch.float64: 1024, torch.float32: 16, torch.float16: 4, torch.bfloat16: 4}


def ulp(magnitude: Tensor, dtype: torch.dtype) -> Tensor:
    """The gap between neighbouring numbers of ``dtype`` at ``magnitude`` (a float64 tensor of absolute values)."""
    info = torch.finfo(dtype)
    exponent = torch.floor(torch.log2(magnitude.clamp_min(info.smallest_normal)))
    return torch.exp2(exponent) * info.eps


def ulps_of(adapter: SteeringAdapter, dtype: torch.dtype) -> int:
    """How many units in the last place an adapter may be off: more if it says that it ``accumulates``.

    Half precision is accumulated in float32 and rounded once, so nothing more is allowed there.
    """
    inside = accumulates(adapter) and dtype in (torch.float32, torch.float64)
    return ACCUMULATED_ULPS if inside else ULPS


def addition(magnitude: Tensor, dtype: torch.dtype, *, ulps: int = ULPS, floor: float = 0.0) -> Tensor:
    """Allowed error of ``h + scale * v``: ``ulps`` units in the last place of the largest number involved.

    In bfloat16 200 + 0.3 is 200: an absolute tolerance would call that wrong or miss a real error. ``floor`` is the
    measured difference of two unsteered runs.
    """
    return ulps * ulp(magnitude, dtype) + floor


def rounding(reference: Tensor, *, floor: float = 0.0, dtype: torch.dtype | None = None) -> float:
    """Allowed difference after a change of kernel, batch geometry or cache: some machine epsilons of the largest
    value, and four times what the same change does to an unsteered run.

    ``dtype`` is what was computed in, where the result is of another: the gradient of a single that was added to
    halves.
    """
    dtype = dtype or reference.dtype
    largest = max((float(part.abs().amax()) for part in _parts(reference)), default=0.0)
    return _KERNEL_EPS[dtype] * torch.finfo(dtype).eps * largest + 4 * floor


def coarsest(*dtypes: torch.dtype) -> torch.dtype:
    """The one with the widest gaps between its numbers."""
    return max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)


def scale(delta: Tensor, magnitude: Tensor, dtype: torch.dtype) -> float:
    """Allowed relative error of the scale, measured by projection on ``delta`` of shape ``(hidden_size,)``.

    Rounding averages out over the elements that carry the delta, so a scale that is one percent off shows even in
    bfloat16; in a one-hot vector it averages over nothing, and in a constant one hardly: to the coarse numbers of a
    residual stream equal elements are all rounded the same way. Where the numbers involved (``magnitude``) dwarf the
    delta, it is absorbed instead: then one unit in the last place of them.
    """
    eps = torch.finfo(dtype).eps
    largest = float(delta.abs().amax())
    if not largest:
        return math.inf
    # Squares of the tiniest vectors are zero even in double precision; those of a direction are not.
    direction = delta / largest
    squares = float(direction.square().sum())
    carrying = squares**2 / float(_alike(direction).square().sum())
    # Each element's rounding error counts as much as the element does in the projection.
    absorbed = float((ulp(magnitude, dtype) * direction.abs()).sum(-1).amax()) / squares / largest
    # The scale itself is a single wherever it meets a tensor that is no double, and that averages out over nothing.
    averaged = _SCALE_EPS * eps / math.sqrt(carrying) + torch.finfo(torch.float32).eps / 2
    return averaged if absorbed <= 4 * eps else max(absorbed, averaged)


def _alike(delta: Tensor) -> Tensor:
    """The sum of squares of the elements of each size."""
    sizes: Tensor
    number: Tensor
    sizes, number = torch.unique(delta.double().abs(), return_inverse=True)
    return torch.zeros_like(sizes).index_add(0, number.flatten(), delta.double().square().flatten())


def right_sums(plain: Tensor, vector: Tensor, scale: float) -> Iterator[Tensor]:
    """``plain + scale * vector`` in the dtype of ``plain``, by each order that is right, on the same device.

    The vector is as it was given or rounded to the dtype first. The scale is a double, or a single as ``torch`` takes
    it for a tensor that is no double; rounding it further is another scale. The product is a double or a single, and
    is added as it is or rounded to the dtype. Each comes off as far as numbers this large, this small or absorbed
    do: no formula knows that of subnormal numbers.
    """
    single = float(torch.tensor(scale, dtype=torch.float32))
    vector = vector.to(plain.device)
    for taken in (vector, vector.to(plain.dtype)):
        for factor, dtype in ((scale, torch.float64), (single, torch.float64), (single, torch.float32)):
            product = taken.to(dtype) * factor
            yield plain + product.to(plain.dtype)
            if torch.promote_types(plain.dtype, dtype) == dtype:
                yield (plain.to(dtype) + product).to(plain.dtype)


def furthest(left: Tensor, right: Tensor) -> float:
    """The largest absolute difference of two tensors; infinite when one holds a NaN where the other does not."""
    left, right = torch.broadcast_tensors(left, right)  # type: ignore[no-untyped-call]
    return max((_furthest(*both) for both in zip(_parts(left), _parts(right), strict=True)), default=0.0)


def _furthest(left: Tensor, right: Tensor) -> float:
    difference = (left.double() - right.double()).abs()
    difference[(left == right) | (left.isnan() & right.isnan())] = 0.0
    return float(difference.nan_to_num(math.inf, math.inf).amax())


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    """The numbers of a tensor, some at a time: in double precision, logits of a long prompt would fill the memory."""
    return iter(tensor.detach().reshape(-1).split(_AT_A_TIME) if tensor.numel() else ())  # type: ignore[no-untyped-call]
