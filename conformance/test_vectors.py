"""Steering vectors: made from contrast, kept on disk, fitted to one model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pytest_steering.errors import Violation
from pytest_steering.oracle import checks, comparison
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.experiments import settle
from pytest_steering.oracle.diagnosis.strength import wrong_scale
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.vectors import load_vectors, save_vectors, train_vectors

PLACES = ("first", "middle", "last")


@pytest.mark.steering_requirement(id="vectors-nonzero", core=True)
def test_vectors_nonzero(harness: Harness) -> None:
    """the difference in means of contrastive prompts is finite and not zero at every steering layer, and it arrives.

    A zero vector steers nothing and every test that only asks for "no error" passes with it.
    """
    contrast = [harness.prompts.batch(seed=seed) for seed in (1, 2)]
    trained = train_vectors(harness.model, harness.architecture, *contrast)
    for layer, vector in trained.items():
        size = float(vector.norm())
        if not bool(torch.isfinite(vector).all()) or size == 0:
            raise Violation(f"the steering vector has norm {size:.1e}", where=f"layer {layer}")
        checks.forward(harness, SteeringPlan({layer: vector}), harness.prompts.batch())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="planted-direction-recovered")
def test_planted_direction_recovered(harness: Harness, place: str) -> None:
    """a direction planted by steering is recovered by difference in means, with its sign and size.

    The same prompts run once with half the vector and once with minus half: their difference is the vector.
    """
    inputs = harness.prompts.batch()
    for layer in harness.plans.layers(place):
        planted = harness.plans.vector(layer).double()
        states = [
            _last_tokens(harness.steered(harness.plans.plan([layer], scale), inputs).received(layer))
            for scale in (0.5, -0.5)
        ]
        found = states[0].mean(0) - states[1].mean(0)
        cosine = float(found @ planted / (found.norm() * planted.norm()).clamp_min(1e-300))
        size = float(found.norm() / planted.norm())
        if cosine < 0.99 or abs(size - 1) > 0.05:
            violation = Violation(
                f"cosine {cosine:.3f}, {size:.3f} times its size; wanted cosine > 0.99 and the same size",
                where=f"layer {layer}",
            )
            if size == 0:
                plain = _last_tokens(harness.unsteered.run(inputs).received(layer))
                violation.likely = Diagnosis(Cause.NEVER if torch.equal(states[0], plain) else Cause.SIGN)
                settle(violation, lambda: wrong_scale(harness, harness.plans.plan([layer], 0.5), inputs))  # noqa: B023
            raise violation


def _last_tokens(received: torch.Tensor) -> torch.Tensor:
    """``(rows and streams, hidden_size)``: the residual stream at the last token, in double precision on the CPU."""
    return received[:, -1].flatten(0, -2).double().cpu()


@pytest.mark.steering_requirement(id="vector-round-trip")
def test_vector_round_trip(harness: Harness, tmp_path: Path) -> None:
    """vectors saved and loaded again are bit-equal, and steer to bit-equal logits."""
    layer = harness.plans.layers("middle")[0]
    plan = harness.plans.plan([layer])
    file = tmp_path / "vectors.safetensors"
    save_vectors(file, plan.vectors, harness.architecture, method="seeded")
    loaded = load_vectors(file, harness.architecture)
    comparison.identical(loaded[layer], plan.vectors[layer], "the loaded vector", where=f"layer {layer}")
    inputs = harness.prompts.batch()
    comparison.identical(
        harness.steered(SteeringPlan(loaded), inputs).result,
        harness.steered(plan, inputs).result,
        "the logits steered by the loaded vector",
        where=checks.named(plan),
    )


@pytest.mark.steering_requirement(id="foreign-vector-refused")
def test_foreign_vector_refused(harness: Harness, tmp_path: Path) -> None:
    """vectors of another model are refused, by the file's fingerprint and by the adapter.

    A vector of another width is broadcast or crashes in the middle of a pass; one of another depth steers whatever
    layer has that number.
    """
    architecture = harness.architecture
    foreign = replace(architecture, hidden_size=2 * architecture.hidden_size)
    vector = torch.ones(foreign.hidden_size)
    file = tmp_path / "vectors.safetensors"
    save_vectors(file, {0: vector}, foreign, method="foreign")
    try:
        load_vectors(file, architecture)
    except ValueError:
        pass
    else:
        raise Violation("a file of another hidden size is loaded")
    deeper = {architecture.num_layers: harness.plans.vector(0)}
    for what, plan in (("another width", SteeringPlan({0: vector})), ("another depth", SteeringPlan(deeper))):
        try:
            with harness.steering(plan) as steered, harness.running():
                steered(**harness.prompts.batch())
        except ValueError:
            continue
        except Exception as error:
            raise Violation(f"{type(error).__name__} instead of ValueError", where=what) from error
        raise Violation("the vector is accepted", where=what, likely=Diagnosis(Cause.UNCHECKED))


@pytest.mark.steering_requirement(id="caller-vector-unchanged", core=True)
def test_caller_vector_unchanged(harness: Harness) -> None:
    """the caller's steering vectors are bit-equal after steering, on the same storage and without a gradient."""
    layers = harness.plans.layers("middle")
    given = {layer: harness.plans.vector(layer) for layer in layers}
    before = {layer: vector.clone() for layer, vector in given.items()}
    places = {layer: (vector.data_ptr(), vector.requires_grad) for layer, vector in given.items()}
    for scale in (3.0, -1.0):
        harness.steered(SteeringPlan(given, scale), harness.prompts.batch())
    for layer, vector in given.items():
        comparison.identical(
            vector,
            before[layer],
            "the caller's vector",
            where=f"layer {layer}",
            likely=Diagnosis(Cause.VECTOR, "it is scaled or normalised"),
        )
        if places[layer] != (vector.data_ptr(), vector.requires_grad):
            raise Violation("the caller's vector has other storage or requires a gradient", where=f"layer {layer}")
