"""A plan is a value that can be kept, copied and sent to another process."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch

from pytest_steering.engines.protocol import Request
from pytest_steering.steering.plan import Positions, SteeringPlan

PLAN = SteeringPlan({2: torch.arange(4.0), 0: torch.ones(4)}, -0.5, Positions.LAST, (0, 2))


@pytest.mark.parametrize(
    "again",
    [copy.copy, copy.deepcopy, lambda plan: pickle.loads(pickle.dumps(plan))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copy_says_the_same(again: Callable[[SteeringPlan], SteeringPlan]) -> None:
    other = again(PLAN)
    assert [*other.vectors] == [2, 0]
    assert all(torch.equal(vector, PLAN.vectors[layer]) for layer, vector in other.vectors.items())
    assert (other.scale, other.positions, other.rows) == (-0.5, Positions.LAST, (0, 2))


def test_a_plan_is_equal_to_itself_alone() -> None:
    same = SteeringPlan(PLAN.vectors, PLAN.scale, PLAN.positions)
    assert len({PLAN, same, PLAN}) == 2


def test_its_vectors_are_not_exchanged() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        PLAN.vectors[0] = torch.zeros(4)  # type: ignore[index]


def test_its_rows_are_numbers_of_rows() -> None:
    vectors = {0: torch.ones(2)}
    assert SteeringPlan(vectors, rows=(3, 1, 1)).rows == (1, 3)
    for rows in ((), (-1,), (True,), ("0",)):
        with pytest.raises(ValueError, match="the rows of a plan are whole numbers from 0, at least one"):
            SteeringPlan(vectors, rows=rows)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a request steers every row of a batch; it cannot steer rows 1, 3"):
        Request((1,), SteeringPlan(vectors, rows=(1, 3)))
