"""The decoder layers are known, and known rightly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from pytest_steering.architecture.detection import detect_architecture
from pytest_steering.architecture.modes import training_if_any
from pytest_steering.architecture.residual import same_bits
from pytest_steering.architecture.tracing import Call, record
from pytest_steering.errors import ArchitectureError, Unseen, Violation
from pytest_steering.oracle import checks
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.targets.target import Target


@pytest.mark.steering_requirement(id="layers-found", core=True, without_weights=True)
def test_layers_found(steering_model: Target) -> None:
    """the decoder layers are found by following the tensors from module to module to the logits.

    A refusal says what was seen. Names and config are evidence, never the proof.
    """
    try:
        architecture = steering_model.architecture
    except ArchitectureError as error:
        raise Violation(str(error)) from error
    names = [name for name, _ in steering_model.model.named_modules()]
    lost = [decoder_layer.name for decoder_layer in architecture.decoder_layers if decoder_layer.name not in names]
    if lost:
        raise Violation(f"{', '.join(lost)} is no module of the model")


@pytest.mark.steering_requirement(id="layers-chain", core=True, without_weights=True)
def test_layers_chain(harness: Harness) -> None:
    """each decoder layer receives exactly what the one before it emitted.

    Where the model's own code stands between the layers, the report says so.
    """
    decoder_layers = harness.architecture.decoder_layers
    for number, (decoder_layer, following) in enumerate(pairwise(decoder_layers)):
        if decoder_layer.receiver is None:
            harness.target.notes.append(f"what {decoder_layer.name} emits is received by no module as it is")
        elif decoder_layer.receiver not in following.parts:
            raise Violation(
                f"what {decoder_layer.name} emits is received by {decoder_layer.receiver_name}, "
                f"not by {following.name}",
                where=f"layer {number}",
            )
    if decoder_layers[-1].receiver is None:
        harness.target.notes.append("the last layer's output is consumed by the model's own forward")


@pytest.mark.steering_requirement(id="hidden-size-measured", core=True, without_weights=True)
def test_hidden_size_measured(harness: Harness) -> None:
    """every decoder layer emits a residual stream of the one measured hidden size.

    A config that says otherwise is reported, and the measured width is used.
    """
    inputs = harness.prompts.batch()
    trace = harness.unsteered.run(inputs)
    for layer in harness.architecture.every_layer:
        width = trace.received(layer).shape[-1]
        if width != harness.architecture.hidden_size:
            raise Violation(
                f"{width} elements arrive, the hidden size is {harness.architecture.hidden_size}",
                where=f"layer {layer}",
            )


@pytest.mark.steering_requirement(id="text-decoder-only", without_weights=True)
def test_text_decoder_only(harness: Harness) -> None:
    """steering the first decoder layer leaves every module that ran before it as it was.

    Embeddings, encoders and towers beside the text decoder run before it: a difference there means that another
    part of the model is steered.
    """
    inputs = harness.prompts.batch()
    first = harness.architecture.layers[0]
    with harness.running():
        plain, _ = record(harness.model, lambda: harness.model(**inputs))
    with harness.steering(harness.plans.plan([0])) as steered, harness.running():
        during, _ = record(harness.model, lambda: steered(**inputs))
    start = next(call.started for call in plain if call.module is first)
    ran = _numbered(during)
    for key, call in _numbered(plain).items():
        if not 0 <= call.ended < start:
            continue
        if key not in ran:
            raise Unseen(f"{call.name} does not run when the model is steered", where="layer 0")
        if harness.target.has_weights:
            _same_outputs(call, ran[key])


def _numbered(calls: Iterable[Call]) -> dict[tuple[str, int], Call]:
    """Finished calls by module name and by how often that module had run before."""
    counts: Counter[str] = Counter()
    found = {}
    for call in calls:
        if call.ended >= 0:
            found[call.name, counts[call.name]] = call
            counts[call.name] += 1
    return found


def _same_outputs(before: Call, during: Call) -> None:
    for (path, tensor), (_, other) in zip(before.outputs, during.outputs, strict=False):
        if not same_bits(*_alike(tensor, other)):
            raise Violation(
                f"the output of {before.name} changes{f' at {path}' if path else ''}",
                where="layer 0",
                likely=Diagnosis(Cause.BEFORE, f"the output of {before.name} changes"),
            )


def _alike(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """The two in one shape where one is the other's for every row, as position embeddings may be."""
    if one.ndim == other.ndim and all(a == b or 1 in (a, b) for a, b in zip(one.shape, other.shape, strict=True)):
        shape = [max(sizes) for sizes in zip(one.shape, other.shape, strict=True)]
        return one.expand(shape), other.expand(shape)
    return one, other


@pytest.mark.steering_requirement(id="each-layer-once", core=True, without_weights=True)
def test_each_layer_once(harness: Harness) -> None:
    """each decoder layer runs as often in a steered forward pass as in an unsteered one: once, as a rule.

    A layer that runs several times is steered several times; a model that runs twice costs twice.
    """
    inputs = harness.prompts.batch()
    plan = harness.plans.plan(harness.plans.layers("middle")[:1])
    with harness.steering(plan) as steered, harness.running():
        calls, _ = record(harness.model, lambda: steered(**inputs))
    counts = Counter(call.name for call in calls if call.ended >= 0)
    for number, decoder_layer in enumerate(harness.architecture.decoder_layers):
        ran = counts[decoder_layer.name]
        if ran != decoder_layer.calls:
            raise Violation(
                f"layer {number} runs {ran} times in one steered forward pass, {decoder_layer.calls} times unsteered",
                where=checks.named(plan),
                likely=Diagnosis(Cause.RUN_AGAIN if ran > decoder_layer.calls else Cause.UNSEEN),
            )


@pytest.mark.steering_requirement(id="default-layers", core=True, needs=("MULTI_LAYER",), without_weights=True)
def test_default_layers(harness: Harness) -> None:
    """the default steering layers are the final three, and a plan for them steers all of them.

    A model with fewer layers is steered in all it has.
    """
    layers = harness.architecture.steering_layers
    expected = tuple(harness.architecture.every_layer)[-3:]
    if layers != expected:
        raise Violation(f"the default steering layers are {list(layers)}, the final three are {list(expected)}")
    inputs = harness.prompts.batch()
    for order in (layers, layers[::-1]):
        # A plan is a mapping: the order of its layers means nothing.
        if harness.target.has_weights:
            checks.forward(harness, harness.plans.plan(order), inputs)
        else:
            harness.steered(harness.plans.plan(order), inputs)


@pytest.mark.steering_requirement(id="detection-repeats", without_weights=True)
def test_detection_repeats(harness: Harness) -> None:
    """finding the decoder layers again, also in training mode, finds the same ones and leaves the model as it was."""
    model = harness.model
    with training_if_any(model):
        modes = [module.training for module in model.modules()]
        with harness.target.fake or torch.enable_grad():
            again = detect_architecture(model)
        if modes != [module.training for module in model.modules()]:
            raise Violation("detection leaves the model in another mode")
    first = harness.architecture
    if again.layers_path != first.layers_path:
        raise Violation(f"found {again.layers_path} the second time, {first.layers_path} the first")
    if again.layers != first.layers:
        raise Violation(f"the second time, {again.layers_path} holds other modules", likely=Diagnosis(Cause.UNSEEN))
