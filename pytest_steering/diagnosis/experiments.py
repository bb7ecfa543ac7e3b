"""Further runs after a failure, that tell bugs apart which look alike in the numbers of one run."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import pytest
import torch
from torch import Tensor

from pytest_steering.diagnosis.causes import Cause
from pytest_steering.diagnosis.curve import SCALES, likely_curve
from pytest_steering.diagnosis.evidence import likely_rows
from pytest_steering.diagnosis.first_change import Change, Changes, first_change
from pytest_steering.errors import Violation
from pytest_steering.plan import SteeringPlan
from pytest_steering.residual import fitted, same_bits
from pytest_steering.tolerance import furthest, rounding

if TYPE_CHECKING:
    from pytest_steering.trial import Trial

Inputs = Mapping[str, Tensor]
Judge = Callable[["Trial", SteeringPlan, Inputs], object]

_OUTLIER = 4.0
"""A vector with an element of so many root mean squares is not an ordinary one."""


def explain(violation: Violation, trial: Trial, plan: SteeringPlan, inputs: Inputs, judge: Judge) -> None:
    """The violation's likely cause is the one that further runs of a forward pass point to, where they point to one.

    ``judge`` raises a violation like this one, for any trial, plan and inputs.
    """
    settle(
        violation,
        lambda: unsteered_changed(trial, inputs),
        lambda: fresh_conforms(violation, trial, lambda other: judge(other, plan, inputs)),
        lambda: wrong_place(trial, plan, inputs),
        lambda: wrong_vectors(trial, plan, inputs),
        lambda: wrong_outliers(trial, plan, inputs, judge),
        lambda: wrong_dose(trial, plan, inputs) if _of_doses(violation.likely) else "",
    )


_DOSES: Final = (
    Cause.NEVER,
    Cause.TWICE,
    Cause.SUBTRACTED,
    Cause.SIGN,
    Cause.SCALE_IGNORED,
    Cause.SCALE_TWICE,
    Cause.NORMALISED,
    Cause.DIVIDED,
    "the dose is",
    "the vector loses precision",
)
"""What the numbers of one run say of a dose that is wrong, or of none: those at other scales may say more."""


def _of_doses(likely: str) -> bool:
    return not likely or likely.startswith(_DOSES)


def settle(violation: Violation, *experiments: Callable[[], str]) -> None:
    """The first experiment that names a cause has the word; what goes wrong in one is no news, the violation stands."""
    for experiment in experiments:
        with contextlib.suppress(Exception, pytest.skip.Exception):
            if said := experiment():
                violation.likely = said
                return


def unsteered_changed(trial: Trial, inputs: Inputs) -> str:
    """The unsteered model no longer computes what it did before it was steered."""
    before, now = trial.plain(inputs).result, trial.plain_again(inputs).result
    if same_bits(before, now) or any(trial.floor(layer) for layer in trial.every_layer):
        return ""
    return f"{Cause.LEFT}: the unsteered model computes other logits than before"


def fresh_conforms(violation: Violation, trial: Trial, again: Callable[[Trial], object]) -> str:
    """An adapter that is built anew does what the old one does not: it kept something."""
    try:
        again(trial.twin(trial.model))
    except Violation:
        return ""
    tokens = violation.likely.startswith((Cause.PADDING, "tokens", "positions", "batch rows"))
    return f"{Cause.STALE_MASK if tokens else Cause.STALE}: an adapter that is built anew steers rightly"


def wrong_place(trial: Trial, plan: SteeringPlan, inputs: Inputs) -> str:
    """The first thing that steering changes is not what the first layer of the plan emits."""
    changes = first_change(trial, plan, inputs)
    first, layer = changes.first, min(plan.vectors)
    if first is None:
        return ""
    mask = trial.architecture.feed.mask_name
    if mask and mask in first.missing:
        return f"{Cause.MASK_DROPPED}: {first.module or 'the model'} does not receive it"
    if layer not in changes.spans:
        return ""
    began, ended = changes.spans[layer]
    name = f"{'what' if first.received else 'the output of'} {first.module or 'the model'}"
    said = f"{name} {'receives changes' if first.received else 'changes'} first"
    if first.clock < min(span[0] for span in changes.spans.values()):
        return f"{Cause.BEFORE}: {said}" if first.module else ""
    if first.clock < began:
        return _earlier(trial, plan, inputs, said)
    if first.clock == began and first.received:
        return f"{Cause.LAYER_INPUT}: {said}"
    if first.clock < ended:
        return f"{Cause.INSIDE}: {said}" if _inside(trial, layer, first) else ""
    if first.clock > ended:
        return _later(changes, plan, layer, said)
    return ""


def _inside(trial: Trial, layer: int, first: Change) -> bool:
    return first.module.startswith(f"{trial.architecture.emissions[layer].name}.")


def _earlier(trial: Trial, plan: SteeringPlan, inputs: Inputs, said: str) -> str:
    layer = min(plan.vectors)
    steered, plain = trial.steered(plan, inputs), trial.plain(inputs)
    asked = trial.prompts.steered_tokens(inputs, plan.positions)
    for before in range(layer):
        if not same_bits(steered.arrived(before), plain.arrived(before)):
            added = _added(steered.arrived(before), plain.arrived(before), asked)
            if _is(added, plan.vectors[layer].double() * plan.scale):
                if before == layer - 1:
                    return f"{Cause.LAYER_BEFORE}: {said}"
                return f"{Cause.ANOTHER_LAYER}: layer {before} instead of layer {layer}"
            break
    return f"{Cause.ANOTHER_LAYER}: {said}"


def _later(changes: Changes, plan: SteeringPlan, layer: int, said: str) -> str:
    first = changes.first
    assert first is not None
    for other, (began, ended) in changes.spans.items():
        if other > layer and began <= first.clock <= ended:
            if other in plan.vectors:
                return f"{Cause.SOME_LAYERS}: layer {layer} is not, layer {other} is"
            if first.clock == ended:
                return f"{Cause.ANOTHER_LAYER}: layer {other} instead of layer {layer}"
    return f"{Cause.BEHIND}: {said}"


def wrong_vectors(trial: Trial, plan: SteeringPlan, inputs: Inputs) -> str:
    """A layer of a plan for several is given what another one should get."""
    if len(plan.vectors) == 1:
        return ""
    asked = trial.prompts.steered_tokens(inputs, plan.positions)
    steered, expected = trial.steered(plan, inputs), trial.expected(plan, inputs, asked)
    deltas = {layer: vector.double() * plan.scale for layer, vector in plan.vectors.items()}
    for layer in sorted(deltas):
        added = _added(steered.arrived(layer), expected.arrived(layer), asked) + deltas[layer]
        if _is(added, deltas[layer]):
            continue
        if _is(added, torch.stack([*deltas.values()]).sum(0)):
            return f"{Cause.SUMMED}: layer {layer} does"
        for other, delta in deltas.items():
            if _is(added, delta):
                return f"{Cause.MIXED}: layer {layer} that of layer {other}"
        return f"{Cause.SOME_LAYERS}: layer {layer} is not" if _is(added, torch.zeros_like(added)) else ""
    return ""


def wrong_outliers(trial: Trial, plan: SteeringPlan, inputs: Inputs, judge: Judge) -> str:
    """An ordinary vector arrives and this one does not: what becomes of one with a single large element."""
    (layer, *more) = plan.vectors
    given, ordinary = plan.vectors[layer], trial.vector(layer)
    if more or float(given.abs().amax()) < _OUTLIER * float(given.double().square().mean().sqrt()):
        return ""
    outlier = ordinary.clone()
    outlier[0] = 2 * _OUTLIER * ordinary.abs().amax()
    for vector in (ordinary, outlier):
        try:
            judge(trial, SteeringPlan({layer: vector}, plan.scale, plan.positions), inputs)
        except Violation as violation:
            return "" if vector is ordinary else violation.likely
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


def _added(steered: Tensor, plain: Tensor, asked: Tensor) -> Tensor:
    """``(hidden_size,)``: what was added on average to the tokens that are steered, double precision."""
    difference = (steered.double() - plain.double()).cpu()
    return difference[fitted(asked.cpu(), difference.shape[1])].flatten(0, -2).mean(0)


def _is(added: Tensor, delta: Tensor) -> bool:
    size = max(float(added.norm()), float(delta.norm()))
    return float((added - delta.cpu()).norm()) <= 0.01 * size + rounding(delta)


def behind(trial: Trial, plan: SteeringPlan, inputs: Inputs) -> str:
    """The logits are others although the steered layer sends what it should: where the two runs part."""
    steered, expected = trial.steered(plan, inputs), trial.expected(plan, inputs)
    for layer in trial.every_layer:
        found, wanted = steered.arrived(layer), expected.arrived(layer)
        if furthest(found, wanted) > rounding(wanted):
            beyond = layer > max(plan.vectors)
            return f"{Cause.NEXT_INPUT}: the residual stream after layer {layer} is another" if beyond else ""
    return f"{Cause.LOGITS}: every residual stream is as it should be, the logits are not"


def beam_rows(found: Tensor, wanted: Tensor, plan: SteeringPlan, rows: int) -> str:
    """The bug class of a beam search of which some rows are not steered; ``rows`` is how many the prompt has.

    ``found`` and ``wanted`` are the residual stream after the first layer of the plan in one pass.
    """
    if found.shape != wanted.shape or found.ndim != 3:
        return ""
    delta = (plan.vectors[min(plan.vectors)].double() * plan.scale).to(found.device)
    off = (found.double() - wanted.double()).flatten(1).abs().amax(1) > 1e-3 * float(delta.abs().amax())
    unsteered = _is_each(found.double() + delta - wanted.double(), delta) & off
    if not torch.equal(unsteered, off):
        return ""
    if len(off) > rows and off.tolist() == [row >= rows for row in range(len(off))]:
        return f"{Cause.BEAMS}: {rows} of {len(off)} rows"
    return likely_rows(~off, torch.ones_like(off))


def _is_each(left: Tensor, delta: Tensor) -> Tensor:
    """``(rows,)``: the rows in which nothing is left but rounding."""
    return left.flatten(1).abs().amax(1) <= 1e-2 * float(delta.abs().amax())
