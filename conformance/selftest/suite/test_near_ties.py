"""Another draw is no fault where rounding made it, and one where anything else did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytest_steering.fixtures.known_bad.honest import Honest
from pytest_steering.fixtures.known_bad.lifecycle import SamplesUnsteered
from torch import Tensor

from pytest_steering import load_target
from pytest_steering.adapters.folded import FoldedAdapter
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.adapters.protocol import Factory
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.suite.near_ties import drawn, drawn_alike

OPTIONS = {"do_sample": True, "top_k": 0, "max_new_tokens": 48, "min_new_tokens": 48}
"""Long, so that one draw of many falls between two tokens."""


class Reseeds(Honest):
    """The right vector, and random numbers of its own for each generation."""

    def running(self, passes: Any) -> Any:
        steered = super().running(passes)

        class Generating:
            def __call__(self, *args: Any, **kwargs: Any) -> Any:
                return steered(*args, **kwargs)

            def generate(self, *args: Any, **kwargs: Any) -> Any:
                torch.manual_seed(0)
                return steered.generate(*args, **kwargs)

        return Generating()


def drawing(build: Factory, dtype: str) -> tuple[Harness, SteeringPlan]:
    target = load_target("tiny:llama", dtype=dtype)
    harness = Harness(target, build(target.model, target.architecture), build)
    return harness, harness.plans.plan(harness.plans.layers("middle")[:1])


def other_draw(harness: Harness, plan: SteeringPlan) -> tuple[dict[str, Tensor], Tensor]:
    """A batch, and the tokens drawn for it that the reference implementation does not draw."""
    for seed in range(20):
        inputs = harness.prompts.batch(rows=8, seed=seed)

        def draw(run: Callable[..., Any], inputs: dict[str, Tensor] = inputs) -> Tensor:
            return drawn(lambda: run(plan, inputs, **OPTIONS).result)

        found = draw(harness.generated)
        if not torch.equal(found, draw(harness.generated_expected)):
            return inputs, found
    pytest.fail("20 batches, and every draw is the same")


def test_rounding_makes_another_draw_and_no_fault() -> None:
    harness, plan = drawing(FoldedAdapter, "bfloat16")
    inputs, found = other_draw(harness, plan)
    assert drawn_alike(harness, plan, inputs, found, OPTIONS)


@pytest.mark.parametrize("build", [SamplesUnsteered, Reseeds])
def test_other_scores_or_other_random_numbers_are_one(build: Factory) -> None:
    harness, plan = drawing(build, "float32")
    inputs, found = other_draw(harness, plan)
    assert not drawn_alike(harness, plan, inputs, found, OPTIONS)


def test_tokens_that_the_scores_do_not_give_are_one() -> None:
    harness, plan = drawing(HooksAdapter, "float32")
    inputs = harness.prompts.batch()
    found = drawn(lambda: harness.generated(plan, inputs, **OPTIONS).result)
    assert drawn_alike(harness, plan, inputs, found, OPTIONS)
    found[0, -1] = (found[0, -1] + 1) % harness.target.vocab_size
    assert not drawn_alike(harness, plan, inputs, found, OPTIONS)
