"""Whole runs judged: which layer, which pass, and what a failure says."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_steering.fixtures.known_bad.habits import FadesWithEachPass
from pytest_steering.fixtures.known_bad.honest import Honest
from pytest_steering.fixtures.known_bad.layers import LayerTooEarly, NeverFires, OnlyTheHighestLayer
from pytest_steering.fixtures.known_bad.place import AllVectorsEverywhere, SortsTheLayers
from pytest_steering.fixtures.known_bad.tokens import PaddingToo
from torch import Tensor

from conformance.selftest.places import TRAINED
from pytest_steering.errors import Unseen, Violation
from pytest_steering.oracle import checks
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.steering.token_positions import PassPositions
from pytest_steering.targets.target import Target, load_target


class LaterLayersTwice(Honest):
    """Of several layers the first is steered as it should be, and the others twice."""

    def delta(self, layer: int, plan: SteeringPlan) -> Tensor:
        return super().delta(layer, plan) * (1 if layer == min(plan.vectors) else 2)


class WithoutCache(Honest):
    """Generation runs over the whole text in every pass."""

    def running(self, passes: PassPositions) -> Any:
        return Calling(self.model, lambda **options: self.model.generate(**{**options, "use_cache": False}))


class OnACopy(Honest):
    """Generation runs on a copy of the model, with the hooks that were put on the model itself."""

    def running(self, passes: PassPositions) -> Any:
        return Calling(self.model, copy.deepcopy(self.model).generate)


class OnAnother(Honest):
    """Generation runs on a model of another class, where nothing is seen."""

    def running(self, passes: PassPositions) -> Any:
        return Calling(self.model, load_target("tiny:gpt2").model.generate)


class Calling(SimpleNamespace):
    """A model with a ``generate`` of its own."""

    def __init__(self, model: Any, generate: Any) -> None:
        super().__init__(model=model, generate=generate)

    def __call__(self, **inputs: Any) -> Any:
        return self.model(**inputs)


@contextmanager
def refuted(match: str | None = None) -> Iterator[pytest.ExceptionInfo[Violation]]:
    """The block ends with a violation: what is not applicable would make a test that is skipped."""
    try:
        with pytest.raises(Violation, match=match) as raised:
            yield raised
    except pytest.skip.Exception as skipped:
        pytest.fail(str(skipped))


@pytest.fixture(scope="module")
def target() -> Target:
    return load_target("tiny:llama", device=None, dtype=None, trust_remote_code=False)


def under(target: Target, adapter: Any) -> Harness:
    return Harness(target, adapter(target.model, target.architecture), adapter)


def test_every_layer_of_a_plan_is_judged(target: Target) -> None:
    harness = under(target, LaterLayersTwice)
    checks.forward(harness, harness.plans.plan([1]), harness.prompts.batch())
    with refuted(match="the residual stream after layer 3, beside that of the reference") as raised:
        checks.forward(harness, harness.plans.plan([1, 3]), harness.prompts.batch())
    assert raised.value.where == "layer 3, scale 1"


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        (AllVectorsEverywhere, Diagnosis(Cause.SUMMED, "layer 1 does")),
        (SortsTheLayers, Diagnosis(Cause.MIXED, "layer 1 that of layer 3")),
        (OnlyTheHighestLayer, Diagnosis(Cause.SOME_LAYERS, "layer 1 is not, layer 3 is")),
    ],
)
def test_which_vector_a_layer_of_several_gets(adapter: Any, expected: Diagnosis, target: Target) -> None:
    harness = under(target, adapter)
    with refuted() as raised:
        checks.forward(harness, harness.plans.plan([3, 1]), harness.prompts.batch())
    assert raised.value.likely == expected


def test_a_generation_that_runs_other_passes_is_no_steered_one(target: Target) -> None:
    harness = under(target, WithoutCache)
    said = r"the steered generation runs passes 0\+\d+, 0\+\d+.*, the unsteered one 0\+\d+, \d+\+1"
    with refuted(match=said):
        checks.passes(harness, harness.plans.plan([1]), harness.prompts.batch())


def test_a_generation_of_which_nothing_is_seen_is_one_of_another_model(target: Target) -> None:
    harness = under(target, OnAnother)
    with refuted(match=r"the steered generation runs passes \(none is seen\), the unsteered one 0\+") as raised:
        checks.passes(harness, harness.plans.plan([1]), harness.prompts.batch())
    assert isinstance(raised.value, Unseen)


def test_a_copy_of_the_model_is_watched_like_the_model(target: Target) -> None:
    harness = under(target, OnACopy)
    checks.passes(harness, harness.plans.plan([1]), harness.prompts.batch())


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [(NeverFires, Cause.NEVER), (PaddingToo, Cause.PADDING), (FadesWithEachPass, Cause.FADES)],
)
def test_the_cause_of_a_wrong_generation(adapter: Any, expected: Cause, target: Target) -> None:
    harness = under(target, adapter)
    with refuted() as raised:
        checks.passes(harness, harness.plans.plan([1], 0.5), harness.prompts.padded("left"))
    assert raised.value.likely is not None
    assert raised.value.likely.cause is expected


def test_what_a_trained_model_can_be_asked() -> None:
    trained = load_target(str(TRAINED / "gpt_bigcode"))
    assert under(trained, Honest).can("trained")
    with pytest.raises(pytest.skip.Exception, match="without a tokenizer the model cannot be asked"):
        under(replace(trained, tokenizer=None), Honest).need("trained")


def test_of_many_plans_the_one_that_fails_is_looked_into(target: Target) -> None:
    harness = under(target, LayerTooEarly)
    with refuted() as raised, checks.looking_closer(harness) as judge:
        judge(harness.plans.plan([2]), harness.prompts.batch())
    assert raised.value.likely is not None
    assert raised.value.likely.cause is Cause.LAYER_BEFORE
