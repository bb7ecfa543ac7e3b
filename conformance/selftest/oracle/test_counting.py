"""What a run costs is counted: operations, readings by the host, memory, Python calls, and what is known beforehand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pytest_steering.oracle.counting import Counts, Mark, count

TOKENS, VECTOR = torch.ones(2, 3), torch.ones(3, dtype=torch.float64)


def counts(run: Callable[[], object]) -> Counts:
    return count(lambda _mark: run(), [TOKENS]).total


def test_operations_and_the_memory_that_they_allocate() -> None:
    found = counts(lambda: (TOKENS + 1).view(6).add_(1))
    assert (found.operations, found.bytes) == (3, 24)
    assert found.synchronisations == 0


@pytest.mark.parametrize(
    "reads",
    [
        lambda tensor: tensor.sum().item(),
        lambda tensor: bool(tensor.all()),
        lambda tensor: tensor.tolist(),
        lambda tensor: tensor.numpy(),
        lambda tensor: tensor.cpu(),
        lambda tensor: tensor.nonzero(),
        lambda tensor: tensor[tensor > 0],
        lambda tensor: torch.equal(tensor, tensor),
    ],
)
def test_each_reading_by_the_host_is_one_synchronisation(reads: Callable[[Tensor], object]) -> None:
    assert counts(lambda: reads(TOKENS)).synchronisations == 1


def test_python_calls_also_of_methods() -> None:
    def one() -> None:
        pass

    def three() -> None:
        for _ in range(3):
            one()

    assert counts(three).calls - counts(one).calls == 3


def test_what_takes_nothing_of_the_inputs_is_told_from_what_does() -> None:
    def names(run: Callable[[], object]) -> list[str]:
        return sorted(recipe.name for recipe in counts(run).constant.elements())

    assert names(lambda: TOKENS * 2 + TOKENS.sum()) == []
    assert names(lambda: TOKENS + VECTOR.to(torch.float32) * 3) == ["aten::_to_copy", "aten::mul"]


def test_the_same_constant_in_two_spans_is_the_same_and_another_is_not() -> None:
    def run(mark: Mark) -> None:
        for step in range(3):
            mark("step")
            VECTOR.expand(2, 3).contiguous()
            torch.arange(step)

    steps = [spans.constant for _, spans in count(run).spans[1:]]
    both = steps[0] & steps[1] & steps[2]
    assert sorted(recipe.name for recipe in both) == ["aten::clone", "aten::expand"]


def test_the_peak_is_what_is_held_at_once() -> None:
    def one_after_the_other(_mark: Mark) -> None:
        for _ in range(5):
            torch.ones(1000)

    kept: list[Tensor] = []
    assert count(one_after_the_other).peak < 2 * 4000 + 100
    assert count(lambda _mark: kept.extend(torch.ones(1000) for _ in range(5))).peak >= 5 * 4000
