"""Shapes and types: what goes in fits, what comes out is of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor

from pytest_steering import vectors
from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.observation import everywhere
from pytest_steering.architecture.residual import Path, kind_of, same_bits, tensors_in
from pytest_steering.architecture.tracing import hooked
from pytest_steering.errors import Unseen, Violation
from pytest_steering.oracle import checks
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan

PLACES = ("first", "middle", "last")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="residual-shape", core=True, without_weights=True)
def test_residual_shape(harness: Harness, place: str) -> None:
    """a steered layer sends a residual stream of shape (batch, sequence, hidden size) in the dtype of the model."""
    inputs = harness.prompts.batch()
    rows, columns = harness.prompts.ids(inputs).shape
    for layer in harness.plans.layers(place):
        received = harness.steered(harness.plans.plan([layer]), inputs).received(layer)
        decoder_layer = harness.architecture.decoder_layers[layer]
        streams = (decoder_layer.streams,) if decoder_layer.streams > 1 else ()
        wanted = (rows, columns + decoder_layer.layout.extra, *streams, harness.architecture.hidden_size)
        if tuple(received.shape) != wanted or received.dtype != decoder_layer.dtype:
            raise Violation(
                f"{received.dtype} {tuple(received.shape)} arrives instead of {decoder_layer.dtype} {wanted}",
                where=f"layer {layer}",
            )


@pytest.mark.steering_requirement(id="steering-tensor-shape", core=True, without_weights=True)
def test_steering_tensor_shape(harness: Harness) -> None:
    """the steering vectors of the default layers stack to (layers, hidden size), and the adapter takes each row."""
    layers = harness.architecture.steering_layers
    plan = harness.plans.plan(layers)
    stacked = vectors.stack(plan.vectors)
    wanted = (min(3, harness.architecture.num_layers), harness.architecture.hidden_size)
    if tuple(stacked.shape) != wanted:
        raise Violation(f"the steering tensor has shape {tuple(stacked.shape)} instead of {wanted}")
    rows = dict(zip(layers, stacked, strict=True))
    plans = [rows] if harness.can("MULTI_LAYER") else [{layer: row} for layer, row in rows.items()]
    for part in plans:
        trace = harness.steered(SteeringPlan(part), harness.prompts.batch())
        for layer in part:
            width = trace.received(layer).shape[-1]
            if width != wanted[1]:
                raise Violation(f"{width} elements arrive, {wanted[1]} were asked for", where=f"layer {layer}")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="output-type-preserved", core=True, without_weights=True)
def test_output_type_preserved(harness: Harness, place: str) -> None:
    """a steered layer returns the same type as before, with everything beside the residual stream untouched.

    A tuple stays a tuple of the same length, a tensor stays a tensor: the code around the layer relies on it.
    """
    inputs = harness.prompts.batch()
    for layer in harness.plans.layers(place):
        plan = harness.plans.plan([layer])
        decoder_layer, where = harness.architecture.decoder_layers[layer], f"layer {layer}"
        with harness.steering(plan) as steered:
            kind, found = _output(harness, layer, steered, inputs, kind=decoder_layer.kind)
        if kind != decoder_layer.kind:
            raise Violation(
                f"the layer returns a {kind} instead of a {decoder_layer.kind}",
                where=where,
                likely=Diagnosis(Cause.TYPE, f"a {kind} where the model returns a {decoder_layer.kind}"),
            )
        if harness.target.has_weights:
            _, plain = _output(harness, layer, harness.model, inputs)
            _same_beside(decoder_layer.layout.path, plain, found, where)


def _same_beside(residual: Path, before: dict[Path, Tensor], after: dict[Path, Tensor], where: str) -> None:
    """Two outputs hold the same tensors at every place but that of the residual stream."""
    if before.keys() != after.keys():
        raise Violation(f"the layer returns tensors at {list(after)} instead of {list(before)}", where=where)
    for path, tensor in before.items():
        if path != residual and not same_bits(tensor, after[path]):
            raise Violation(f"the element at {path} changes", where=where)


def _output(
    harness: Harness, layer: int, call: Callable[..., Any], inputs: dict[str, Tensor], *, kind: str = ""
) -> tuple[str, dict[Path, Tensor]]:
    """What the layer returned when it first ran, as the code around it got it: its type, and a copy of its tensors.

    A copy, because later layers may write into a state that this one returned. Where it is of another type than
    ``kind``, the code around it may fail: that is no news then.
    """
    outputs: list[tuple[str, dict[Path, Tensor]]] = []

    def keep(_module: torch.nn.Module, _args: Any, output: Any) -> None:
        outputs.append((kind_of(output), {path: tensor.clone() for path, tensor in tensors_in(output)}))

    def watch(architecture: Architecture) -> AbstractContextManager[None]:
        return hooked(architecture.layers[layer].register_forward_hook(keep))

    with harness.running(), everywhere(harness.architecture, watch):
        try:
            call(**inputs)
        except Exception:
            if not kind or not outputs or outputs[0][0] == kind:
                raise
    if not outputs:
        raise Unseen("the layer does not run when the model is steered", where=f"layer {layer}")
    return outputs[0]


_WRONG: dict[str, Callable[[int], Tensor]] = {
    "one element": lambda width: torch.ones(1),
    "too narrow": lambda width: torch.ones(width - 1),
    "too wide": lambda width: torch.ones(width + 1),
    "row": lambda width: torch.ones(1, width),
    "batch": lambda width: torch.ones(2, 1, width),
    "NaN": lambda width: torch.full((width,), torch.nan),
    "infinity": lambda width: torch.full((width,), torch.inf),
}


@pytest.mark.parametrize("case", [*_WRONG, "layer too high", "negative layer"])
@pytest.mark.steering_requirement(id="wrong-shape-refused", core=True, without_weights=True)
def test_wrong_shape_refused(harness: Harness, case: str) -> None:
    """a vector of another shape, a NaN or a layer that does not exist is refused with a ValueError, and nothing is
    changed.

    A wrong vector that is accepted is broadcast silently and steers something else.
    """
    width = harness.architecture.hidden_size
    vector = _WRONG[case](width) if case in _WRONG else torch.ones(width)
    layer = {"layer too high": harness.architecture.num_layers, "negative layer": -1}.get(case, 0)
    inputs = harness.prompts.batch()
    try:
        with harness.steering(SteeringPlan({layer: vector})) as steered, harness.running():
            steered(**inputs)
    except ValueError as error:
        if not str(error):
            raise Violation("the ValueError does not say what is wrong", where=case) from error
    except Exception as error:
        raise Violation(
            f"{type(error).__name__} instead of ValueError: {' '.join(str(error).split())[:120]}",
            where=case,
            likely=Diagnosis(Cause.UNCHECKED),
        ) from error
    else:
        raise Violation(
            f"shape {tuple(vector.shape)} at layer {layer} is accepted",
            where=case,
            likely=Diagnosis(Cause.UNCHECKED, "the vector is broadcast"),
        )
    before = harness.unsteered.run(inputs).result
    if harness.target.has_weights and not same_bits(before, harness.unsteered.run_again(inputs).result):
        raise Violation("the refused plan leaves the model changed", where=case)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="logits-shape", core=True, without_weights=True)
def test_logits_shape(harness: Harness, place: str) -> None:
    """the steered model returns logits of the same shape and dtype as the unsteered one."""
    inputs = harness.prompts.batch()
    plain = harness.unsteered.run(inputs).result
    plan = harness.plans.plan(harness.plans.layers(place)[:1])
    steered = harness.steered(plan, inputs).result
    if steered.shape != plain.shape or steered.dtype != plain.dtype:
        raise Violation(
            f"{steered.dtype} {tuple(steered.shape)} instead of {plain.dtype} {tuple(plain.shape)}",
            where=checks.named(plan),
        )
