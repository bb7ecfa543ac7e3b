"""Further runs tell bugs apart that look alike in the numbers of one, whatever mechanism steers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_steering.fixtures.known_bad.habits import RemembersTheMask
from pytest_steering.fixtures.known_bad.honest import Honest
from pytest_steering.fixtures.known_bad.layers import LayerTooEarly
from pytest_steering.fixtures.known_bad.part import ThinsOut
from pytest_steering.fixtures.known_bad.place import AtTheFirstPart, AtTheInput
from pytest_steering.fixtures.known_bad.state import RemembersTheFirst
from pytest_steering.fixtures.known_bad.tokens import RowZero
from torch import Tensor, nn

from conformance.selftest.oracle.diagnosis.test_place import AtAReceiver
from pytest_steering.adapters.folded import FoldedAdapter
from pytest_steering.architecture.model import Architecture
from pytest_steering.errors import Violation
from pytest_steering.oracle import checks
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.tokens import likely_beams
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.targets.target import Target, load_target


@pytest.fixture(scope="module", params=["tiny:llama", "tiny:bloom"])
def target(request: pytest.FixtureRequest) -> Target:
    return load_target(request.param, device=None, dtype=None, trust_remote_code=False)


def trial_of(target: Target, adapter: Callable[[nn.Module, Architecture], Any]) -> Harness:
    return Harness(target, adapter(target.model, target.architecture), adapter)


def likely(harness: Harness, plan: SteeringPlan, inputs: dict[str, Tensor] | None = None) -> Diagnosis:
    with pytest.raises(Violation) as raised:
        checks.forward(harness, plan, inputs or harness.prompts.batch())
    assert raised.value.likely is not None
    return raised.value.likely


class AtTheReceiver(AtAReceiver, RowZero):
    """Row 0 alone, added to what the next module receives: the place is right."""


class FoldedTwice(FoldedAdapter):
    """The vector is added twice, inside the layer's last part: the place is as good as the layer's output."""

    def steer(self, plan: SteeringPlan) -> Any:
        return super().steer(SteeringPlan(plan.vectors, 2 * plan.scale))


class Saturates(Honest):
    """The scale goes through a curve that no class of bugs has."""

    def delta(self, layer: int, plan: SteeringPlan) -> Tensor:
        return super().delta(layer, SteeringPlan(plan.vectors, plan.scale / (1 + 0.1 * abs(plan.scale))))


@pytest.mark.parametrize(
    ("adapter", "expected"),
    [
        (RowZero, Cause.ROW_ZERO),
        (AtTheReceiver, Cause.ROW_ZERO),
        (FoldedTwice, Cause.TWICE),
        (LayerTooEarly, Cause.LAYER_BEFORE),
        (AtTheInput, Cause.LAYER_INPUT),
        (AtTheFirstPart, Cause.INSIDE),
        (ThinsOut, Cause.DIVIDED),
    ],
)
def test_the_cause_of_a_wrong_forward_pass(target: Target, adapter: Any, expected: Cause) -> None:
    harness = trial_of(target, adapter)
    assert likely(harness, harness.plans.plan([2])).cause is expected


def test_a_curve_of_no_class_has_no_cause(target: Target) -> None:
    harness = trial_of(target, Saturates)
    assert likely(harness, harness.plans.plan([2])) == Diagnosis(Cause.ANOTHER_SCALE, "0.9091 times what the plan says")


def test_what_a_new_adapter_does_right_was_kept_by_the_old_one(target: Target) -> None:
    harness = trial_of(target, RemembersTheFirst)
    checks.forward(harness, harness.plans.plan([1]), harness.prompts.batch())
    assert likely(harness, harness.plans.plan([1], 0.5)).cause is Cause.STALE
    harness = trial_of(target, RemembersTheMask)
    checks.forward(harness, harness.plans.plan([1]), harness.prompts.batch())
    assert likely(harness, harness.plans.plan([1]), harness.prompts.padded("right")).cause is Cause.STALE_MASK


@pytest.mark.parametrize(
    ("steered", "expected"),
    [([0, 1], Cause.BEAMS), ([0], Cause.ROW_ZERO), ([0, 2, 4], Cause.OTHER_ROWS), ([0, 1, 2, 3, 4], Cause.LAST_ROW)],
)
def test_rows_of_beams(steered: list[int], expected: Cause) -> None:
    delta = torch.linspace(-1, 1, 8)
    plain = torch.zeros(6, 1, 8)
    found = plain.clone()
    found[steered] += delta
    said = likely_beams(found, plain + delta, delta, 2)
    assert said is not None
    assert said.cause is expected
    assert likely_beams(plain + 1.0001 * delta, plain + delta, delta, 2) is None
    found[-1] += 0.1
    assert likely_beams(found, plain + delta, delta, 2) is None
