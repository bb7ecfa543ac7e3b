"""Where the vector lands: what steering changes first, beside what the layers of the plan emit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pytest_steering.architecture.residual import Path, same_bits
from pytest_steering.architecture.tracing import Call, record
from pytest_steering.oracle.diagnosis.causes import PATTERNS, Cause, Diagnosis
from pytest_steering.oracle.diagnosis.strength import added_to, is_delta
from pytest_steering.oracle.tolerance import furthest, rounding
from pytest_steering.steering.plan import SteeringPlan

if TYPE_CHECKING:
    from pytest_steering.oracle.harness import Harness
    from pytest_steering.steering.plan import SteeringPlan

if TYPE_CHECKING:
    from pytest_steering.oracle.harness import Harness

Inputs = Mapping[str, Tensor]


def wrong_place(
    harness: Harness, plan: SteeringPlan, inputs: Inputs, likely: Diagnosis | None = None
) -> Diagnosis | None:
    """The first thing that steering changes is not what the first layer of the plan emits.

    ``likely`` is what the numbers point to. A bias of the layer's last part is as good a place as its output: that a
    part inside is steered counts only where they point to nothing.
    """
    changes = first_change(harness, plan, inputs)
    first, layer = changes.first, min(plan.vectors)
    if first is None:
        return None
    mask = harness.architecture.model_inputs.mask_name
    if mask and mask in first.missing:
        return Diagnosis(Cause.MASK_DROPPED, f"{first.module or 'the model'} does not receive it")
    if layer not in changes.spans:
        return None
    began, ended = changes.spans[layer]
    name = f"{'what' if first.received else 'the output of'} {first.module or 'the model'}"
    said = f"{name} {'receives changes' if first.received else 'changes'} first"
    if first.clock < min(span[0] for span in changes.spans.values()):
        return Diagnosis(Cause.BEFORE, said) if first.module else None
    if first.clock < began:
        return _earlier(harness, plan, inputs, said)
    if first.clock == began and first.received:
        return Diagnosis(Cause.LAYER_INPUT, said)
    if first.clock < ended:
        inside = (likely is None or likely.cause in PATTERNS) and first.module.startswith(
            f"{harness.architecture.decoder_layers[layer].name}."
        )
        return Diagnosis(Cause.INSIDE, said) if inside else None
    if first.clock > ended:
        at_receiver = first.received and first.module == harness.architecture.decoder_layers[layer].receiver_name
        return None if at_receiver else _later(changes, first, plan, said)
    return None


def _earlier(harness: Harness, plan: SteeringPlan, inputs: Inputs, said: str) -> Diagnosis | None:
    layer = min(plan.vectors)
    steered, plain = harness.steered(plan, inputs), harness.unsteered.run(inputs)
    asked = harness.prompts.steered_tokens(inputs, plan.positions)
    for before in range(layer):
        if not same_bits(steered.received(before), plain.received(before)):
            added = added_to(steered.received(before), plain.received(before), asked)
            if is_delta(added, plan.vectors[layer].double() * plan.scale):
                if before == layer - 1:
                    return Diagnosis(Cause.LAYER_BEFORE, said)
                return Diagnosis(Cause.ANOTHER_LAYER, f"layer {before} instead of layer {layer}")
            break
    return Diagnosis(Cause.ANOTHER_LAYER, said)


def _later(changes: Changes, first: Change, plan: SteeringPlan, said: str) -> Diagnosis | None:
    layer = min(plan.vectors)
    for other, (began, ended) in changes.spans.items():
        if other > layer and began <= first.clock <= ended:
            if other in plan.vectors:
                return Diagnosis(Cause.SOME_LAYERS, f"layer {layer} is not, layer {other} is")
            if first.clock == ended:
                return Diagnosis(Cause.ANOTHER_LAYER, f"layer {other} instead of layer {layer}")
    return Diagnosis(Cause.BEHIND, said)


def behind(harness: Harness, plan: SteeringPlan, inputs: Inputs) -> Diagnosis | None:
    """The logits are others although the steered layer sends what it should: where the two runs part."""
    steered, expected = harness.steered(plan, inputs), harness.expected(plan, inputs)
    for layer in harness.architecture.every_layer:
        found, wanted = steered.received(layer), expected.received(layer)
        if furthest(found, wanted) > rounding(wanted):
            beyond = layer > max(plan.vectors)
            return (
                Diagnosis(Cause.NEXT_INPUT, f"the residual stream after layer {layer} is another") if beyond else None
            )
    return Diagnosis(Cause.LOGITS, "every residual stream is as it should be, the logits are not")


@dataclass(frozen=True)
class Change:
    """What a module received or returned that is not what it receives or returns in an unsteered pass."""

    module: str
    """Dotted name of the module; empty for the whole model."""
    received: bool
    """What it received changed; otherwise what it returned."""
    clock: int
    missing: tuple[str, ...] = ()
    """Arguments that it no longer received."""


@dataclass(frozen=True)
class Changes:
    """The first change, and between what the steered layers began and ended in the unsteered pass."""

    first: Change | None
    spans: Mapping[int, tuple[int, int]]
    """Decoder layer → when it first began and ended."""


def first_change(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor]) -> Changes:
    """The first change that steering by ``plan`` makes to a forward pass of ``inputs``."""
    with harness.running():
        plain, _ = record(harness.model, lambda: harness.model(**inputs))
    with harness.steering(plan) as steered, harness.running():
        during, _ = record(harness.model, lambda: steered(**inputs))
    ran = dict(_numbered(during))
    changes = [change for key, call in _numbered(plain) if key in ran for change in _changes(call, ran[key])]
    spans: dict[int, tuple[int, int]] = {}
    for number, layer in enumerate(harness.architecture.layers):
        call = next((call for call in plain if call.module is layer), None)
        if call is not None:
            spans[number] = call.started, call.ended
    return Changes(min(changes, key=lambda change: change.clock, default=None), spans)


def _numbered(calls: Iterable[Call]) -> Iterator[tuple[tuple[str, int], Call]]:
    """Finished calls, by module name and by how often that module had run before."""
    counts: Counter[str] = Counter()
    for call in calls:
        if call.ended >= 0:
            yield (call.name, counts[call.name]), call
            counts[call.name] += 1


def _changes(plain: Call, steered: Call) -> Iterator[Change]:
    missing = tuple(_names(plain.inputs) - _names(steered.inputs))
    if missing or _differ(plain.inputs, steered.inputs):
        yield Change(plain.name, True, plain.started, missing)
    if _differ(plain.outputs, steered.outputs):
        yield Change(plain.name, False, plain.ended)


def _names(inputs: list[tuple[Path, Tensor]]) -> set[str]:
    return {str(path[-1]) for path, _ in inputs if path}


def _differ(one: list[tuple[Path, Tensor]], other: list[tuple[Path, Any]]) -> bool:
    found = dict(other)
    return any(path in found and not same_bits(tensor, found[path]) for path, tensor in one)
