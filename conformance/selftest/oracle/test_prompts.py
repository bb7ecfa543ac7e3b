"""Batches and plans of one model: what is in them."""

from __future__ import annotations

import pytest
import torch

from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.oracle.checks import named
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.inputs import LENGTHS, Batch, seeded_vector
from pytest_steering.steering.plan import Positions, SteeringPlan
from pytest_steering.targets.target import load_target


@pytest.fixture(scope="module")
def harness() -> Harness:
    target = load_target("tiny:llama", device=None, dtype=None, trust_remote_code=False)
    return Harness(target, HooksAdapter(target.model, target.architecture), HooksAdapter)


@pytest.mark.parametrize("side", ["left", "right"])
def test_all_rows_but_the_first_are_padded_on_that_side(harness: Harness, side: str) -> None:
    inputs = harness.prompts.padded(side)
    mask = inputs["attention_mask"]
    rows, columns = mask.shape
    lengths = [columns - row for row in range(rows)]
    assert mask.sum(1).tolist() == lengths
    assert mask[:, 0 if side == "right" else -1].all()
    assert bool((inputs["input_ids"][mask == 0] == harness.target.pad_token_id).all())
    if side == "left":
        assert inputs["position_ids"][-1].tolist() == [0] * rows + list(range(1, columns - rows + 1))


def test_a_row_alone_has_no_padding(harness: Harness) -> None:
    padded = harness.prompts.padded("left")
    (row,) = harness.prompts.row(padded, 1)["input_ids"]
    assert row.tolist() == padded["input_ids"][1, 1:].tolist()


def test_a_repetitive_prompt_says_three_tokens_three_times(harness: Harness) -> None:
    (ids,) = harness.prompts.repetitive()["input_ids"].tolist()
    assert ids == ids[:3] * 3


def test_an_extended_batch_has_the_padding_of_its_prompts(harness: Harness) -> None:
    padded = harness.prompts.padded("left")
    rows, columns = padded["input_ids"].shape
    sequences = torch.cat([padded["input_ids"], torch.full((rows, 2), 9)], 1)
    extended = harness.prompts.extended(padded, sequences)
    assert torch.equal(extended["input_ids"], sequences)
    assert torch.equal(extended["attention_mask"][:, :columns], padded["attention_mask"])
    assert extended["attention_mask"].shape == (rows, columns + 2)
    assert bool(extended["attention_mask"][:, columns:].all())


def test_a_batch_for_users_has_rows_of_unequal_lengths(harness: Harness) -> None:
    batch = Batch.seeded(harness.target)
    assert batch["attention_mask"].sum(1).tolist() == list(LENGTHS)
    assert len(set(LENGTHS)) == len(LENGTHS)


def test_a_vector_by_default_is_that_of_layer_zero_and_seed_zero(harness: Harness) -> None:
    target = harness.target
    assert torch.equal(seeded_vector(target), seeded_vector(target, 0, 0))
    assert not torch.equal(seeded_vector(target, 1), seeded_vector(target, 0))
    with pytest.raises(ValueError, match=r"there is no decoder layer 4: model\.layers has layers 0 to 3"):
        seeded_vector(target, 4)


def test_places_are_layers(harness: Harness) -> None:
    assert [harness.plans.layers(place) for place in ("first", "middle", "last")] == [[0], [2], [3]]


def test_a_vector_is_as_large_as_the_residual_stream(harness: Harness) -> None:
    size = harness.unsteered.residual_size(2)
    assert size != pytest.approx(1, rel=0.1)
    assert float(harness.plans.vector(2).square().mean().sqrt()) == pytest.approx(size)


def test_a_plan_is_named_in_a_few_words() -> None:
    plan = SteeringPlan({2: torch.ones(4), 1: torch.ones(4)}, 0.5)
    assert named(plan) == "layers 1, 2, scale 0.5"
    assert named(plan, 2) == "layer 2, scale 0.5"
    last = SteeringPlan({3: torch.ones(4)}, -3.0, Positions.LAST)
    assert named(last) == f"layer 3, scale -3, positions {Positions.LAST}"
