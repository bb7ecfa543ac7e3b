"""A plan is a value that can be kept, copied and sent to another process."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch

from pytest_steering.steering.plan import Positions, SteeringPlan

PLAN = SteeringPlan({2: torch.arange(4.0), 0: torch.ones(4)}, -0.5, Positions.LAST)


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda plan: pickle.loads(pickle.dumps(plan))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_says_the_same(again: Callable[[SteeringPlan], SteeringPlan]) -> None:
    other = again(PLAN)
    assert [*other.vectors] == [2, 0]
    assert all(torch.equal(vector, PLAN.vectors[layer]) for layer, vector in other.vectors.items())
    assert (other.scale, other.positions) == (-0.5, Positions.LAST)


def test_a_plan_is_equal_to_itself_alone() -> None:
    same = SteeringPlan(PLAN.vectors, PLAN.scale, PLAN.positions)
    assert len({PLAN, same, PLAN}) == 2


def test_its_vectors_are_not_exchanged() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        PLAN.vectors[0] = torch.zeros(4)  # type: ignore[index]
