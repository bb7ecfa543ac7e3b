"""Steering vectors: made from contrast, kept on disk, fitted to one model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pytest_steering.errors import Violation
from pytest_steering.oracle import checks, comparison
from pytest_steering.oracle.diagnosis.causes import Cause
from pytest_steering.oracle.diagnosis.experiments import settle
from pytest_steering.oracle.diagnosis.strength import wrong_dose
from pytest_steering.oracle.diagnosis.tokens import NEVER
from pytest_steering.oracle.harness import Trial
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.vectors import load_vectors, save_vectors, train_vectors

PLACES = ("first", "middle", "last")


@pytest.mark.steering_requirement(id="vectors-nonzero")
def test_vectors_nonzero(trial: Trial) -> None:
    """the difference in means of contrastive prompts is finite and not zero at every steering layer, and it arrives.

    A zero vector steers nothing and every test that only asks for "no error" passes with it.
    """
    contrast = [trial.prompts.batch(seed=seed) for seed in (1, 2)]
    trained = train_vectors(trial.model, trial.architecture, *contrast)
    for layer, vector in trained.items():
        size = float(vector.norm())
        if not bool(torch.isfinite(vector).all()) or size == 0:
            raise Violation(f"the steering vector has norm {size:.1e}", where=f"layer {layer}")
        checks.forward(trial, SteeringPlan({layer: vector}), trial.prompts.batch())


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="planted-direction-recovered")
def test_planted_direction_recovered(trial: Trial, place: str) -> None:
    """a direction planted by steering is recovered by difference in means, with its sign and size.

    The same prompts run once with half the vector and once with minus half: their difference is the vector.
    """
    inputs = trial.prompts.batch()
    for layer in trial.layers(place):
        planted = trial.vector(layer).double()
        states = [
            trial.steered(trial.plan([layer], scale), inputs).arrived(layer)[:, -1].flatten(0, -2).double().cpu()
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
                plain = trial.plain(inputs).arrived(layer)[:, -1].flatten(0, -2).double().cpu()
                violation.likely = NEVER if torch.equal(states[0], plain) else Cause.SIGN
                settle(violation, lambda: wrong_dose(trial, trial.plan([layer], 0.5), inputs))  # noqa: B023
            raise violation


@pytest.mark.steering_requirement(id="vector-round-trip")
def test_vector_round_trip(trial: Trial, tmp_path: Path) -> None:
    """vectors saved and loaded again are bit-equal, and steer to bit-equal logits."""
    layer = trial.layers("middle")[0]
    plan = trial.plan([layer])
    file = tmp_path / "vectors.safetensors"
    save_vectors(file, plan.vectors, trial.architecture, method="seeded")
    loaded = load_vectors(file, trial.architecture)
    comparison.identical(loaded[layer], plan.vectors[layer], "the loaded vector", where=f"layer {layer}")
    inputs = trial.prompts.batch()
    comparison.identical(
        trial.steered(SteeringPlan(loaded), inputs).result,
        trial.steered(plan, inputs).result,
        "the logits steered by the loaded vector",
        where=checks.named(plan),
    )


@pytest.mark.steering_requirement(id="foreign-vector-refused")
def test_foreign_vector_refused(trial: Trial, tmp_path: Path) -> None:
    """vectors of another model are refused, by the file's fingerprint and by the adapter.

    A vector of another width is broadcast or crashes in the middle of a pass; one of another depth steers whatever
    layer has that number.
    """
    architecture = trial.architecture
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
    deeper = {architecture.num_layers: trial.vector(0)}
    for what, plan in (("another width", SteeringPlan({0: vector})), ("another depth", SteeringPlan(deeper))):
        try:
            with trial.steering(plan) as steered, trial.running():
                steered(**trial.prompts.batch())
        except ValueError:
            continue
        except Exception as error:
            raise Violation(f"{type(error).__name__} instead of ValueError", where=what) from error
        raise Violation("the vector is accepted", where=what, likely=Cause.UNCHECKED)


@pytest.mark.steering_requirement(id="caller-vector-unchanged")
def test_caller_vector_unchanged(trial: Trial) -> None:
    """the caller's steering vectors are bit-equal after steering, on the same storage and without a gradient."""
    layers = trial.layers("middle")
    given = {layer: trial.vector(layer) for layer in layers}
    before = {layer: vector.clone() for layer, vector in given.items()}
    places = {layer: (vector.data_ptr(), vector.requires_grad) for layer, vector in given.items()}
    for scale in (3.0, -1.0):
        trial.steered(SteeringPlan(given, scale), trial.prompts.batch())
    for layer, vector in given.items():
        comparison.identical(
            vector,
            before[layer],
            "the caller's vector",
            where=f"layer {layer}",
            likely=f"{Cause.VECTOR}: it is scaled or normalised",
        )
        if places[layer] != (vector.data_ptr(), vector.requires_grad):
            raise Violation("the caller's vector has other storage or requires a gradient", where=f"layer {layer}")
