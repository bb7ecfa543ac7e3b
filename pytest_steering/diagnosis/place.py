"""Where the vector lands: what steering changes first, beside what the layers of the plan emit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from pytest_steering.diagnosis.amounts import added_to, is_delta
from pytest_steering.diagnosis.causes import Cause
from pytest_steering.diagnosis.first_change import Change, Changes, first_change
from pytest_steering.plan import SteeringPlan
from pytest_steering.residual import same_bits
from pytest_steering.tolerance import furthest, rounding

if TYPE_CHECKING:
    from pytest_steering.trial import Trial

Inputs = Mapping[str, Tensor]


def wrong_place(trial: Trial, plan: SteeringPlan, inputs: Inputs, likely: str = "") -> str:
    """The first thing that steering changes is not what the first layer of the plan emits.

    ``likely`` is what the numbers point to. A bias of the layer's last part is as good a place as its output: that a
    part inside is steered counts only where they point to nothing.
    """
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
        inside = Cause.of(likely) is None and first.module.startswith(f"{trial.architecture.emissions[layer].name}.")
        return f"{Cause.INSIDE}: {said}" if inside else ""
    if first.clock > ended:
        at_receiver = first.received and first.module == trial.architecture.emissions[layer].receiver_name
        return "" if at_receiver else _later(changes, first, plan, said)
    return ""


def _earlier(trial: Trial, plan: SteeringPlan, inputs: Inputs, said: str) -> str:
    layer = min(plan.vectors)
    steered, plain = trial.steered(plan, inputs), trial.plain(inputs)
    asked = trial.prompts.steered_tokens(inputs, plan.positions)
    for before in range(layer):
        if not same_bits(steered.arrived(before), plain.arrived(before)):
            added = added_to(steered.arrived(before), plain.arrived(before), asked)
            if is_delta(added, plan.vectors[layer].double() * plan.scale):
                if before == layer - 1:
                    return f"{Cause.LAYER_BEFORE}: {said}"
                return f"{Cause.ANOTHER_LAYER}: layer {before} instead of layer {layer}"
            break
    return f"{Cause.ANOTHER_LAYER}: {said}"


def _later(changes: Changes, first: Change, plan: SteeringPlan, said: str) -> str:
    layer = min(plan.vectors)
    for other, (began, ended) in changes.spans.items():
        if other > layer and began <= first.clock <= ended:
            if other in plan.vectors:
                return f"{Cause.SOME_LAYERS}: layer {layer} is not, layer {other} is"
            if first.clock == ended:
                return f"{Cause.ANOTHER_LAYER}: layer {other} instead of layer {layer}"
    return f"{Cause.BEHIND}: {said}"


def behind(trial: Trial, plan: SteeringPlan, inputs: Inputs) -> str:
    """The logits are others although the steered layer sends what it should: where the two runs part."""
    steered, expected = trial.steered(plan, inputs), trial.expected(plan, inputs)
    for layer in trial.every_layer:
        found, wanted = steered.arrived(layer), expected.arrived(layer)
        if furthest(found, wanted) > rounding(wanted):
            beyond = layer > max(plan.vectors)
            return f"{Cause.NEXT_INPUT}: the residual stream after layer {layer} is another" if beyond else ""
    return f"{Cause.LOGITS}: every residual stream is as it should be, the logits are not"
