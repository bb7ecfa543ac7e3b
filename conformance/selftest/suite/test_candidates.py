"""A model that does not forget the candidates that were thrown away is told apart from one that does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_steering import load_target
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.oracle.harness import Harness
from pytest_steering.suite.near_ties import forgets_candidates

LOOKUP = {"prompt_lookup_num_tokens": 3}


@pytest.fixture
def harness() -> Harness:
    target = load_target("tiny:llama")
    return Harness(target, HooksAdapter(target.model, target.architecture), HooksAdapter)


def unguessed(harness: Harness) -> tuple[dict[str, Tensor], Tensor]:
    """A prompt that repeats itself, and a path on which every candidate is wrong."""
    inputs = harness.prompts.repetitive()
    ids = harness.prompts.ids(inputs)
    others = (ids[:, :6] + 1 + torch.arange(6)) % harness.target.vocab_size
    return inputs, torch.cat((ids, others), dim=1)


def test_one_with_a_cache_that_is_cut_forgets(harness: Harness) -> None:
    inputs, sequences = unguessed(harness)
    assert forgets_candidates(harness, inputs, sequences, **LOOKUP)


def test_one_that_counts_every_token_it_is_fed_does_not(harness: Harness) -> None:
    fed = 0

    def count(_module: nn.Module, _args: Any, kwargs: dict[str, Any], output: Any) -> None:
        nonlocal fed
        ids = kwargs["input_ids"]
        fed = ids.shape[1] if ids.shape[1] > 4 else fed + ids.shape[1]
        output.logits += fed

    with harness.target.model.register_forward_hook(count, with_kwargs=True):
        inputs, sequences = unguessed(harness)
        assert not forgets_candidates(harness, inputs, sequences, **LOOKUP)
