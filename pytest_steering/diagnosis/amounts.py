"""How much of which vector arrives, over several layers and many scales."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pytest_steering.diagnosis.causes import Cause
from pytest_steering.diagnosis.curve import SCALES, likely_curve
from pytest_steering.plan import SteeringPlan
from pytest_steering.residual import fitted
from pytest_steering.tolerance import rounding

if TYPE_CHECKING:
    from pytest_steering.trial import Trial

Inputs = Mapping[str, Tensor]


def wrong_vectors(trial: Trial, plan: SteeringPlan, inputs: Inputs) -> str:
    """A layer of a plan for several is given what another one should get."""
    if len(plan.vectors) == 1:
        return ""
    asked = trial.prompts.steered_tokens(inputs, plan.positions)
    steered, expected = trial.steered(plan, inputs), trial.expected(plan, inputs, asked)
    deltas = {layer: vector.double() * plan.scale for layer, vector in plan.vectors.items()}
    for layer in sorted(deltas):
        added = added_to(steered.arrived(layer), expected.arrived(layer), asked) + deltas[layer]
        if is_delta(added, deltas[layer]):
            continue
        if is_delta(added, torch.stack([*deltas.values()]).sum(0)):
            return f"{Cause.SUMMED}: layer {layer} does"
        for other, delta in deltas.items():
            if is_delta(added, delta):
                return f"{Cause.MIXED}: layer {layer} that of layer {other}"
        return f"{Cause.SOME_LAYERS}: layer {layer} is not" if is_delta(added, torch.zeros_like(added)) else ""
    return ""


def wrong_dose(trial: Trial, plan: SteeringPlan, inputs: Inputs) -> str:
    """The dose that arrives is another function of the scale than the identity."""
    if len(plan.vectors) > 1:
        return ""
    curve, asked = dose_curve(trial, plan, inputs)
    (layer,) = plan.vectors
    eps = torch.finfo(trial.architecture.emissions[layer].dtype).eps
    norm = float(plan.vectors[layer].double().norm())
    return likely_curve(curve, eps=_relative(trial, plan, eps), norm=norm, columns=int(asked.shape[1]))


def dose_curve(trial: Trial, plan: SteeringPlan, inputs: Inputs) -> tuple[dict[float, float], Tensor]:
    """Scale → the mean dose that arrives, NaN where the scale is refused; and the tokens that are steered."""
    (layer,) = plan.vectors
    asked = trial.prompts.steered_tokens(inputs, plan.positions)
    plain = trial.plain(inputs).arrived(layer)
    vector = plan.vectors[layer].double()
    curve = {}
    for scale in dict.fromkeys((*SCALES, plan.scale)):
        if not scale or not _fits(plain, vector, scale):
            continue
        try:
            steered = trial.steered(SteeringPlan(plan.vectors, scale, plan.positions), inputs).arrived(layer)
        except ValueError:
            curve[scale] = math.nan
            continue
        doses = _doses(steered, plain, asked, vector)
        if float((doses - doses.mean()).abs().amax()) > 0.01 * abs(scale):
            # Not one dose but several: no function of the scale alone.
            return {}, asked
        curve[scale] = float(doses.mean())
    return curve, asked


def _doses(steered: Tensor, plain: Tensor, asked: Tensor, vector: Tensor) -> Tensor:
    difference = (steered.double() - plain.double()).cpu()
    return difference[fitted(asked.cpu(), difference.shape[1])] @ vector.cpu() / (vector @ vector).cpu()


def _fits(plain: Tensor, vector: Tensor, scale: float) -> bool:
    """The scale is neither absorbed by the residual stream nor beyond its dtype."""
    size = float(vector.abs().amax()) * abs(scale)
    absorbed = 64 * torch.finfo(plain.dtype).eps * float(plain.abs().amax())
    return absorbed < size < torch.finfo(plain.dtype).max / 8


def _relative(trial: Trial, plan: SteeringPlan, eps: float) -> float:
    """The machine epsilon in units of the vector: what rounding does to a measured dose."""
    (layer,) = plan.vectors
    size = float(plan.vectors[layer].double().square().mean().sqrt())
    return eps * max(1.0, trial.residual_size(layer) / size) if size else eps


def added_to(steered: Tensor, plain: Tensor, asked: Tensor) -> Tensor:
    """``(hidden_size,)``: what was added on average to the tokens that are steered, double precision."""
    difference = (steered.double() - plain.double()).cpu()
    return difference[fitted(asked.cpu(), difference.shape[1])].flatten(0, -2).mean(0)


def is_delta(added: Tensor, delta: Tensor) -> bool:
    """What was added is ``delta``, within a hundredth."""
    size = max(float(added.norm()), float(delta.norm()))
    return float((added - delta.cpu()).norm()) <= 0.01 * size + rounding(delta)
