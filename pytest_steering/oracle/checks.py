"""Whole runs judged: a forward pass, every pass of a generation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from pytest_steering.adapters.protocol import accumulates
from pytest_steering.architecture.observation import Pass, Trace
from pytest_steering.architecture.residual import fitted, same_bits
from pytest_steering.errors import Unseen, Violation
from pytest_steering.oracle import comparison, tolerance
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.experiments import (
    explain,
    fresh_conforms,
    never_arrives,
    settle,
    unsteered_changed,
)
from pytest_steering.oracle.diagnosis.passes import SeenPass, likely_passes
from pytest_steering.oracle.diagnosis.tokens import Evidence
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import Positions, SteeringPlan


def forward(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor]) -> None:
    """A forward pass is steered exactly as the plan says.

    The first steered layer is compared with the unsteered run. What later ones send depends on it, so they are
    compared with the run that the reference implementation steers. A failure is looked into by further runs.
    """
    given = {name: tensor.clone() for name, tensor in inputs.items()}
    try:
        _judged(harness, plan, inputs, noted=True)
    except Violation as violation:
        changed = [name for name, tensor in given.items() if not same_bits(inputs[name], tensor)]
        if changed:
            violation.likely = Diagnosis(Cause.INPUTS, f"{', '.join(changed)} after the call")
        else:
            explain(violation, harness, plan, inputs, judged)
        raise


@contextmanager
def looking_closer(harness: Harness) -> Iterator[Callable[[SteeringPlan, Mapping[str, Tensor]], None]]:
    """Yields :func:`judged` for many plans: the failure that ends the block, and no other, is looked into."""
    last: list[tuple[SteeringPlan, Mapping[str, Tensor]]] = []

    def judge(plan: SteeringPlan, inputs: Mapping[str, Tensor]) -> None:
        last[:] = [(plan, inputs)]
        judged(harness, plan, inputs)

    try:
        yield judge
    except Violation as violation:
        for plan, inputs in last:
            explain(violation, harness, plan, inputs, judged)
        raise


def judged(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor]) -> None:
    """The same as :func:`forward`; a failure says what its own numbers point to, and no further run is made."""
    _judged(harness, plan, inputs)


def _judged(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor], *, noted: bool = False) -> None:
    """With ``noted`` the report is told at which tokens how much arrived."""
    plain = harness.unsteered.run(inputs)
    need_sound(harness, plain)
    steered = harness.steered(plan, inputs)
    asked = harness.prompts.steered_tokens(inputs, plan.positions)
    first, *later = sorted(plan.vectors)
    if noted and harness.target.has_weights:
        pairs = list(zip(steered.passes, plain.passes, strict=False))[:1]
        harness.figures.arrival(plan, first, pairs, asked, prompt=asked.shape[1], padding=_padding(harness, inputs))
    comparison.arrives(
        steered.received(first),
        plain.received(first),
        plan.vectors[first],
        plan.scale,
        asked,
        where=named(plan, first),
        added=_added(harness, plan, plain.passes[0], first),
        padding=_padding(harness, inputs),
        ulps=tolerance.ulps_of(harness.adapter, plain.received(first).dtype),
        floor=harness.unsteered.floor(first),
    )
    looped = harness.architecture.decoder_layers[first].calls > 1 and harness.target.has_weights
    if later or looped:
        expected = harness.expected(plan, inputs, asked)
        for layer in later:
            comparison.close(
                steered.received(layer),
                expected.received(layer),
                f"the residual stream after layer {layer}, beside that of the reference implementation",
                where=named(plan, layer),
            )
        for layer in plan.vectors if looped else ():
            runs = (steered.passes[0].again.get(layer, []), expected.passes[0].again.get(layer, []))
            for number, (run, wanted) in enumerate(zip(*runs, strict=True)):
                comparison.close(
                    run,
                    wanted,
                    f"the residual stream after run {number + 2} of layer {layer}, "
                    "beside that of the reference implementation",
                    where=named(plan, layer),
                    likely=Diagnosis(Cause.EACH_RUN),
                )


def passes(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor], **options: Any) -> Tensor:
    """Every pass of ``generate`` is steered exactly as the plan says, in absolute positions; returns the sequences.

    An unsteered model is made to choose the same tokens in the same passes; what arrives after the first steered
    layer may differ by ``scale * vector`` at the plan's positions and by nothing elsewhere.
    """
    return _passes(harness, plan, inputs, options, closer=True)


def _passes(
    harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor], options: Mapping[str, Any], *, closer: bool
) -> Tensor:
    """With ``closer`` a failure is looked into: by the pattern of all passes, and by further runs."""
    if harness.unsteered.cannot_replay:
        not_applicable(harness.unsteered.cannot_replay)
    steered = harness.generated(plan, inputs, **options)
    sequences: Tensor = steered.result
    layer = min(plan.vectors)
    plain = harness.unsteered.replay(sequences, inputs, [layer], **options)
    if len(sequences) > 1 and _unsound(harness, plain):
        # It cannot decode several rows at once: one row alone is still to be steered in every pass.
        return _passes(harness, plan, harness.prompts.row(inputs, 0), options, closer=closer)
    need_sound(harness, plain)
    shapes = [[(step.start, step.columns) for step in trace.passes] for trace in (steered, plain)]
    if shapes[0] != shapes[1]:
        raise (Violation if shapes[0] else Unseen)(
            f"the steered generation runs passes {_brief(shapes[0])}, the unsteered one {_brief(shapes[1])}",
            where=named(plan, layer),
        )
    furthest = max(start + columns for start, columns in shapes[0])
    asked = harness.prompts.steered_tokens(inputs, plan.positions, total=max(furthest, sequences.shape[1]))
    padding = _padding(harness, inputs)
    if padding is not None:
        padding = torch.nn.functional.pad(padding, (0, asked.shape[1] - padding.shape[1]))
    if closer:
        pairs = list(zip(steered.passes, plain.passes, strict=True))
        harness.figures.arrival(plan, layer, pairs, asked, prompt=harness.prompts.ids(inputs).shape[1], padding=padding)
    for number, (step, before) in enumerate(zip(steered.passes, plain.passes, strict=True)):
        columns = slice(step.start, step.start + step.columns)
        _need_kept(before.received[layer], asked[:, columns])
        try:
            comparison.arrives(
                step.received[layer],
                before.received[layer],
                plan.vectors[layer],
                plan.scale,
                asked[:, columns],
                where=f"{named(plan, layer)}, pass {number}",
                added=_added(harness, plan, before, layer),
                padding=None if padding is None else padding[:, columns],
                ulps=tolerance.ulps_of(harness.adapter, before.received[layer].dtype),
                floor=harness.unsteered.floor(layer),
                first_column=step.start,
            )
        except Violation as violation:
            _need_repeatable(plain, harness.unsteered.replay(sequences, inputs, [layer], **options))
            if closer:
                _explain_passes(violation, harness, plan, inputs, options, _seen(steered, plain, plan, asked))
            raise
    return sequences


def _added(harness: Harness, plan: SteeringPlan, plain: Pass, layer: int) -> Tensor | None:
    """What the layer added up itself, and with it the scaled vector of an adapter that adds it to that sum."""
    added = plain.added.get(layer)
    if added is None or not accumulates(harness.adapter):
        return added
    return added + (plan.scale * plan.vectors[layer].to(added)).abs()


def _explain_passes(
    violation: Violation,
    harness: Harness,
    plan: SteeringPlan,
    inputs: Mapping[str, Tensor],
    options: Mapping[str, Any],
    seen: list[SeenPass],
) -> None:
    """The likely cause is the one that further runs, or all passes together, point to."""
    prompt = harness.prompts.ids(inputs).shape[1]
    settle(
        violation,
        lambda: unsteered_changed(harness, inputs),
        lambda: fresh_conforms(violation, harness, lambda other: _passes(other, plan, inputs, options, closer=False)),
        lambda: never_arrives(harness, plan, inputs) if any(step.silent for step in seen) else None,
        lambda: likely_passes(seen, plan.positions, prompt),
    )


def _seen(steered: Trace, plain: Trace, plan: SteeringPlan, asked: Tensor) -> list[SeenPass]:
    """What moved in each pass, at the tokens after the model's own positions."""
    layer = min(plan.vectors)
    seen = []
    for step, before in zip(steered.passes, plain.passes, strict=True):
        where = asked[:, step.start : step.start + step.columns].cpu()
        observed = (step.received[layer].double() - before.received[layer].double()).cpu()[:, -where.shape[1] :]
        evidence = Evidence(observed, plan.vectors[layer].double().cpu(), plan.scale, where)
        scales = evidence.arriving_scales() / plan.scale if bool(where.any()) else torch.zeros(1)
        even = float(scales.amax() - scales.amin()) <= 0.01 * float(scales.abs().amax())
        seen.append(SeenPass(step.start, evidence.moved(), where, float(scales.mean()), even))
    return seen


def named(plan: SteeringPlan, layer: int | None = None) -> str:
    """The plan in a few words: ``layer 2, scale 0.5``."""
    layers = sorted(plan.vectors) if layer is None else [layer]
    plural = "layer" if len(layers) == 1 else "layers"
    positions = "" if plan.positions is Positions.ALL else f", positions {plan.positions}"
    return f"{plural} {', '.join(map(str, layers))}, scale {plan.scale:g}{positions}"


def need_sound(harness: Harness, plain: Trace) -> None:
    """The unsteered model sends no more columns than it was given tokens, or nothing can be asked of steering it."""
    if reason := _unsound(harness, plain):
        not_applicable(reason)


def _unsound(harness: Harness, plain: Trace) -> str:
    for step in plain.passes:
        for layer, received in step.received.items():
            if received.shape[1] > step.columns + harness.architecture.decoder_layers[layer].layout.extra:
                return (
                    f"the unsteered model itself sends {received.shape[1]} columns for {step.columns} tokens "
                    f"in each of {received.shape[0]} rows"
                )
    return ""


def _need_repeatable(one: Trace, other: Trace) -> None:
    """Two unsteered generations of the same tokens are bit-equal, or a steered one cannot be compared with either."""
    for before, again in zip(one.passes, other.passes, strict=False):
        for layer, received in before.received.items():
            if not same_bits(received, again.received[layer]):
                not_applicable("two unsteered generations of the same tokens are not bit-equal")


def _need_kept(plain: Tensor, asked: Tensor) -> None:
    """The unsteered model blanks no token that is to be steered, as it may do with padding that it counts itself."""
    blank = (plain == 0).flatten(2).all(-1)
    if bool((blank & fitted(asked.to(blank.device), blank.shape[1])).any()):
        not_applicable("the unsteered model itself sets the residual stream to zero at a real token")


def _padding(harness: Harness, inputs: Mapping[str, Tensor]) -> Tensor | None:
    mask = harness.prompts.mask(inputs)
    return None if mask is None else ~mask.bool()


def _brief(shapes: list[tuple[int, int]]) -> str:
    if not shapes:
        return "(none is seen)"
    return ", ".join(f"{start}+{columns}" for start, columns in shapes[:8]) + (" …" if len(shapes) > 8 else "")
