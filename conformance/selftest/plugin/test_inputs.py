"""The inputs that fixtures make: seeded, and the same on every device."""

from __future__ import annotations

import pytest
import torch

from pytest_steering.oracle.inputs import Batch
from pytest_steering.plugin.fixtures import VectorFactory
from pytest_steering.targets.target import Target

pytestmark = pytest.mark.steering_model("tiny:llama")


def test_vectors_are_seeded_of_zero_mean_and_unit_size(steering_model: Target, steering_vector: VectorFactory) -> None:
    vector = steering_vector(layer=1, seed=3)
    assert vector.shape == (steering_model.architecture.hidden_size,)
    assert vector.mean().abs() < 1e-6
    assert vector.square().mean().sqrt() == pytest.approx(1, abs=1e-6)
    torch.manual_seed(0)
    assert torch.equal(vector, steering_vector(layer=1, seed=3))
    assert not torch.equal(vector, steering_vector(layer=1))
    assert not torch.equal(vector, steering_vector(seed=3))
    assert torch.equal(steering_vector(), steering_vector(layer=0, seed=0))


def test_a_vector_for_no_layer_is_refused(steering_vector: VectorFactory) -> None:
    with pytest.raises(ValueError, match="there is no decoder layer 99"):
        steering_vector(layer=99)


def test_batches_are_padded_on_either_side(steering_model: Target, steering_batch: Batch) -> None:
    left = steering_batch.padded("left")
    lengths = steering_batch["attention_mask"].sum(dim=1)
    assert len(set(lengths.tolist())) > 1
    assert torch.equal(lengths, left["attention_mask"].sum(dim=1))
    assert torch.equal(left["attention_mask"].flip(1), steering_batch["attention_mask"])
    assert set(left["attention_mask"][:, -1].tolist()) == {1}
    for batch in (left, steering_batch):
        real = [ids[mask.bool()] for ids, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
        assert all(torch.equal(row, tokens) for row, tokens in zip(batch.rows, real, strict=True))
    assert steering_model.model(**steering_batch).logits.shape[:2] == steering_batch["input_ids"].shape


def test_batches_are_the_same_every_time(steering_model: Target, steering_batch: Batch) -> None:
    torch.manual_seed(1)
    assert torch.equal(Batch.seeded(steering_model)["input_ids"], steering_batch["input_ids"])
    assert int(steering_batch["input_ids"].max()) < steering_model.vocab_size


@pytest.mark.steering_model(min_layers=2, needs=["weights"])
def test_a_marked_test_gets_its_model(steering_model: Target) -> None:
    assert steering_model.spec == "tiny:llama"
    assert not steering_model.model.training
