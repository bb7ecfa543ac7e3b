"""How much of which vector arrives, over several layers and many scales."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pytest_steering.architecture.residual import fitted
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.tolerance import rounding
from pytest_steering.steering.plan import SteeringPlan

if TYPE_CHECKING:
    from pytest_steering.oracle.harness import Harness

Inputs = Mapping[str, Tensor]


def wrong_vectors(harness: Harness, plan: SteeringPlan, inputs: Inputs) -> Diagnosis | None:
    """A layer of a plan for several is given what another one should get."""
    if len(plan.vectors) == 1:
        return None
    asked = harness.prompts.steered_tokens(inputs, plan.positions)
    steered, expected = harness.steered(plan, inputs), harness.expected(plan, inputs, asked)
    deltas = {layer: vector.double() * plan.scale for layer, vector in plan.vectors.items()}
    for layer in sorted(deltas):
        added = added_to(steered.received(layer), expected.received(layer), asked) + deltas[layer]
        if is_delta(added, deltas[layer]):
            continue
        if is_delta(added, torch.stack([*deltas.values()]).sum(0)):
            return Diagnosis(Cause.SUMMED, f"layer {layer} does")
        for other, delta in deltas.items():
            if is_delta(added, delta):
                return Diagnosis(Cause.MIXED, f"layer {layer} that of layer {other}")
        return (
            Diagnosis(Cause.SOME_LAYERS, f"layer {layer} is not") if is_delta(added, torch.zeros_like(added)) else None
        )
    return None


def wrong_scale(harness: Harness, plan: SteeringPlan, inputs: Inputs) -> Diagnosis | None:
    """The scale that arrives is another function of the scale than the identity."""
    if len(plan.vectors) > 1:
        return None
    curve, asked = scale_curve(harness, plan, inputs)
    (layer,) = plan.vectors
    eps = torch.finfo(harness.architecture.decoder_layers[layer].dtype).eps
    norm = float(plan.vectors[layer].double().norm())
    return likely_curve(curve, eps=_relative(harness, plan, eps), norm=norm, columns=int(asked.shape[1]))


def scale_curve(harness: Harness, plan: SteeringPlan, inputs: Inputs) -> tuple[dict[float, float], Tensor]:
    """Scale → the mean scale that arrives, NaN where the scale is refused; and the tokens that are steered."""
    (layer,) = plan.vectors
    asked = harness.prompts.steered_tokens(inputs, plan.positions)
    plain = harness.unsteered.run(inputs).received(layer)
    vector = plan.vectors[layer].double()
    curve = {}
    for scale in dict.fromkeys((*SCALES, plan.scale)):
        if not scale or not _fits(plain, vector, scale):
            continue
        try:
            steered = harness.steered(replace(plan, scale=scale), inputs).received(layer)
        except ValueError:
            curve[scale] = math.nan
            continue
        arriving = _arriving_scales(steered, plain, asked, vector)
        if float((arriving - arriving.mean()).abs().amax()) > 0.01 * abs(scale):
            # Not one scale but several: no function of the scale alone.
            return {}, asked
        curve[scale] = float(arriving.mean())
    return curve, asked


def _arriving_scales(steered: Tensor, plain: Tensor, asked: Tensor, vector: Tensor) -> Tensor:
    difference = (steered.double() - plain.double()).cpu()
    return difference[fitted(asked.cpu(), difference.shape[1])] @ vector.cpu() / (vector @ vector).cpu()


def _fits(plain: Tensor, vector: Tensor, scale: float) -> bool:
    """The scale is neither absorbed by the residual stream nor beyond its dtype."""
    size = float(vector.abs().amax()) * abs(scale)
    absorbed = 64 * torch.finfo(plain.dtype).eps * float(plain.abs().amax())
    return absorbed < size < torch.finfo(plain.dtype).max / 8


def _relative(harness: Harness, plan: SteeringPlan, eps: float) -> float:
    """The machine epsilon in units of the vector: what rounding does to a measured scale."""
    (layer,) = plan.vectors
    size = float(plan.vectors[layer].double().square().mean().sqrt())
    return eps * max(1.0, harness.unsteered.residual_size(layer) / size) if size else eps


def added_to(steered: Tensor, plain: Tensor, asked: Tensor) -> Tensor:
    """``(hidden_size,)``: what was added on average to the tokens that are steered, double precision."""
    difference = (steered.double() - plain.double()).cpu()
    return difference[fitted(asked.cpu(), difference.shape[1])].flatten(0, -2).mean(0)


def is_delta(added: Tensor, delta: Tensor) -> bool:
    """What was added is ``delta``, within a hundredth."""
    size = max(float(added.norm()), float(delta.norm()))
    return float((added - delta.cpu()).norm()) <= 0.01 * size + rounding(delta)


SCALES = (0.0005, 0.002, 0.02, 0.25, 0.5, 1.0, 2.5, 7.0, 20.0, 64.0, 150.0, -0.25, -1.0, -2.5, -20.0)
"""From small to large, of either sign, whole and not."""

Curve = Mapping[float, float]
"""Scale → the scale that arrives: by how many vectors the residual stream moved; NaN where the scale was refused."""


def likely_curve(curve: Curve, *, eps: float, norm: float, columns: int) -> Diagnosis | None:
    """The bug class of a curve that is not the identity, or an empty string.

    ``eps`` is the machine epsilon of the residual stream's dtype, ``norm`` that of the vector, ``columns`` how many
    tokens the pass has.
    """

    def fits(expected: Callable[[float], float], scales: list[float]) -> bool:
        return all(abs(curve[s] - expected(s)) <= _slack(s, eps) for s in scales)

    scales = [scale for scale in curve if not math.isnan(curve[scale])]
    refused = [scale for scale in curve if math.isnan(curve[scale])]
    wrong = [scale for scale in scales if not fits(lambda s: s, [scale])]
    if not wrong:
        large = refused and min(map(abs, refused)) > max(map(abs, scales), default=0.0)
        return Diagnosis(Cause.REFUSED, f"{min(refused, key=abs):g}") if large else None
    if not any(curve[scale] for scale in scales):
        return None
    ratio = curve[max(wrong, key=abs)] / max(wrong, key=abs)
    for factor, cause in (
        (2.0, Diagnosis(Cause.TWICE)),
        (-1.0, Diagnosis(Cause.SUBTRACTED, "at every scale")),
        (1 / norm, Diagnosis(Cause.NORMALISED)),
        (1 / columns if columns > 1 else math.nan, Diagnosis(Cause.DIVIDED)),
        (ratio, Diagnosis(Cause.FACTOR, f"it is {ratio:.4g} times the plan's, at every scale")),
    ):
        if fits(lambda s, factor=factor: s * factor, scales):  # type: ignore[misc]
            return cause
    for expected, cause in (
        (abs, Diagnosis(Cause.SIGN)),
        (lambda s: 1.0, Diagnosis(Cause.SCALE_IGNORED)),
        (lambda s: s * s, Diagnosis(Cause.SCALE_TWICE)),
        (lambda s: math.copysign(1.0, s), Diagnosis(Cause.SCALE_IGNORED, "all but its sign")),
    ):
        if fits(expected, scales):
            return cause
    whole = all(abs(curve[s] - round(curve[s])) <= _slack(s, eps) and abs(curve[s] - s) <= 1 for s in scales)
    if whole and all(s % 1 for s in wrong):
        return Diagnosis(Cause.WHOLE, _pair(curve, wrong))
    limit = abs(curve[max(wrong, key=abs)])
    if fits(lambda s: max(-limit, min(limit, s)), scales):
        return Diagnosis(Cause.CLAMPED, f"to {limit:.4g}, {_pair(curve, wrong)}")
    right = [abs(scale) for scale in scales if scale not in wrong]
    if right and max(map(abs, wrong)) < min(right) and fits(lambda s: 0.0, wrong):
        return Diagnosis(
            Cause.SMALL_LOST, f"nothing arrives up to {max(map(abs, wrong)):g}, all of it from {min(right):g} on"
        )
    return None


def _slack(scale: float, eps: float) -> float:
    """A measured scale is off by rounding, in proportion to the scale and to the residual stream."""
    return 1e-3 * abs(scale) + 4 * eps


def _pair(curve: Curve, wrong: list[float]) -> str:
    scale = max(wrong, key=abs)
    return f"{curve[scale]:.4g} where the plan says {scale:g}"


_HALF = (torch.bfloat16, torch.float16)


def likely_elements(found: Tensor, delta: Tensor) -> Diagnosis | None:
    """The bug class of a delta some of whose elements are wrong; both ``(hidden_size,)``, double precision."""
    largest = float(delta.abs().amax())
    for shift in (1, -1):
        if float((found - delta.roll(shift)).norm()) <= 0.01 * float(delta.norm()):
            return Diagnosis(Cause.SHIFTED, f"by {shift:+d}")
    if float((found - found.mean()).norm()) <= 0.01 * float(found.norm()) and len(delta) > 1:
        constant = float((delta - delta.mean()).norm()) <= 0.01 * float(delta.norm())
        return None if constant else Diagnosis(Cause.BROADCAST)
    off = (found - delta).abs() > 1e-3 * delta.abs() + 1e-4 * largest
    wrong = off.nonzero().flatten().tolist()
    # Elements that are zero are right whatever the scale.
    right = int((~off & (delta != 0)).sum())
    if not wrong or not right:
        return None
    few = f"{wrong}" if len(wrong) <= 4 else f"{len(wrong)} of {len(delta)}"
    if float(found[off].abs().amax()) <= 1e-3 * largest:
        return Diagnosis(Cause.ELEMENTS, few)
    limit = found[off].abs()
    clipped = float(limit.amax() - limit.amin()) <= 1e-3 * float(limit.amax())
    # Only what is beyond the limit is off.
    beyond = bool((delta[off].abs() > limit).all()) and bool((delta[~off].abs() <= 1.001 * limit.amax()).all())
    return Diagnosis(Cause.CLIPPED, f"at {float(limit.amax()):.3g}, {few}") if clipped and beyond else None


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
