"""The bias that a vector is folded into is the model's own again when the last block is left, in whatever order."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import permutations

import pytest
import torch
from torch import Tensor

from pytest_steering import SteeringPlan, load_target
from pytest_steering.adapters.folded import FoldedAdapter


@pytest.mark.parametrize("adapters", [1, 2, 3])
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_blocks_end_in_any_order(adapters: int, order: tuple[int, ...]) -> None:
    """Also those of several adapters that were made for one model."""
    target = load_target("tiny:gpt2")
    made = [FoldedAdapter(target.model, target.architecture) for _ in range(adapters)]
    generator = torch.Generator().manual_seed(0)
    vectors = [torch.randn(target.architecture.hidden_size, generator=generator) for _ in range(3)]
    ids = torch.arange(6)[None]

    def logits() -> Tensor:
        with torch.no_grad():
            found: Tensor = target.model(input_ids=ids).logits
        return found

    before, parameters = logits(), {name: id(each) for name, each in target.model.named_parameters()}
    stacks = [ExitStack() for _ in range(3)]
    for number, (stack, vector) in enumerate(zip(stacks, vectors, strict=True)):
        stack.enter_context(made[number % adapters].steer(SteeringPlan({1: vector})))
    for left, number in enumerate(order, 1):
        stacks[number].close()
        still_open = [vectors[each] for each in range(3) if each not in order[:left]]
        if still_open:
            fresh = load_target("tiny:gpt2")
            plan = SteeringPlan({1: torch.stack(still_open).sum(0)})
            with FoldedAdapter(fresh.model, fresh.architecture).steer(plan), torch.no_grad():
                torch.testing.assert_close(logits(), fresh.model(input_ids=ids).logits)
    assert torch.equal(logits(), before)
    assert {name: id(each) for name, each in target.model.named_parameters()} == parameters


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_layer_that_adds_up_coarser_numbers_than_the_stream_has_is_refused(dtype: str) -> None:
    """A Mamba in halves keeps its residual stream in singles: a bias in halves would round the vector."""
    target = load_target("tiny:mamba", dtype=dtype)
    with pytest.raises(ValueError, match="as precise as the residual stream is; use --steering-adapter=hooks"):
        FoldedAdapter(target.model, target.architecture)
