"""How much of which vector: elements, curves and the scales that are tried."""

from __future__ import annotations

import math

import pytest
import torch

from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.strength import SCALES, is_delta, likely_curve, likely_elements, scale_curve
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.targets.target import load_target

DELTA = torch.tensor([4.0, 4.0, 1.0, -1.0, 0.5, 0.0, -0.5, 2.0], dtype=torch.float64)


def test_a_delta_is_itself_within_a_hundredth() -> None:
    delta = 100 * DELTA
    assert is_delta(1.005 * delta, delta)
    assert not is_delta(1.02 * delta, delta)
    assert is_delta(0.005 * DELTA, torch.zeros_like(DELTA)) is False


def test_one_number_everywhere_is_no_fault_of_a_vector_that_nearly_is_one() -> None:
    nearly = 1000 + DELTA
    even = torch.full_like(DELTA, 7.0)
    assert likely_elements(even, nearly) is None
    assert likely_elements(even, DELTA) == Diagnosis(Cause.BROADCAST)


def test_only_what_is_beyond_the_limit_is_clipped() -> None:
    assert likely_elements(DELTA.clamp(-3, 3), DELTA) == Diagnosis(Cause.CLIPPED, "at 3, [0, 1]")
    one_of_two = DELTA.clone()
    one_of_two[0] = 3.0
    assert likely_elements(one_of_two, DELTA) is None


def test_zeros_are_right_whatever_the_scale() -> None:
    one_hot = torch.zeros(8, dtype=torch.float64)
    one_hot[2] = 1.0
    assert likely_elements(0.5 * one_hot, one_hot) is None


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ({0.5: 0.5, 20.0: math.nan}, Diagnosis(Cause.REFUSED, "20")),
        ({0.5: 0.5, 2.5: math.nan, 20.0: 20.0}, None),
        ({0.5: 0.5, 20.0: 20.0}, None),
    ],
)
def test_what_is_refused_lies_beyond_what_is_not(curve: dict[float, float], expected: Diagnosis | None) -> None:
    assert likely_curve(curve, eps=1e-7, norm=4.0, columns=5) == expected


def test_scales_are_tried_that_the_dtype_can_show() -> None:
    assert len(set(SCALES)) == len(SCALES)
    target = load_target("tiny:llama", device=None, dtype="float16", trust_remote_code=False)
    harness = Harness(target, HooksAdapter(target.model, target.architecture), HooksAdapter)
    inputs = harness.prompts.batch()
    vector = harness.plans.vector(1)
    widest = float(vector.abs().amax())
    large = vector * 1000 / widest
    curve, _ = scale_curve(harness, SteeringPlan({1: large}, 1.0), inputs)
    assert max(curve) == 7.0, "at 20 the largest element is more than an eighth of what float16 holds"
    curve, _ = scale_curve(harness, SteeringPlan({1: vector}, 1.0), inputs)
    assert 0.0005 not in curve, "it is less than the steps of float16 at the size of the residual stream"
    assert {0.5, 1.0, -1.0, 20.0} <= curve.keys()
