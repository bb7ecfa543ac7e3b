"""A model is asked for something that it can do; one that can do nothing, and one that was never trained, are not."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from pytest_steering.fixtures.known_bad.layers import NeverFires
from pytest_steering.fixtures.known_bad.scale import SignLost
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from conformance.test_divergence import test_beats_random_direction as beats_random_direction
from pytest_steering import Target
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.adapters.protocol import Factory
from pytest_steering.byte_tokenizer import padded_tokenizer
from pytest_steering.errors import Violation
from pytest_steering.oracle.harness import Harness
from pytest_steering.suite.contrasts import CHANCE, Words, at_least, plain, told
from pytest_steering.suite.trained import Behaviour
from pytest_steering.targets.tiny.models import random_model, tiny_config

SEEDS = 12


@cache
def tokenizer() -> Any:
    """Every word of every wording is one token of it."""
    words = [word for contrast in plain() for wording in contrast.wordings for word in wording]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [text for contrast in plain() for pair in contrast.pairs for text in pair]
    made.train_from_iterator([*texts, *words * 20], trainer)
    return padded_tokenizer(made)


def small(seed: int) -> Any:
    config = tiny_config("qwen2")
    config.vocab_size = len(tokenizer())
    return random_model(config, seed=seed)


def under(model: Any, build: Factory = HooksAdapter) -> Harness:
    target = Target("small", model.eval(), tokenizer(), trained=True)
    return Harness(target, build(target.model, target.architecture), build)


@cache
def taught() -> Any:
    """A model that goes on in the language of the text: of every sentence it has seen what may follow."""
    contrast = plain()[0]
    model, rows = small(0), []
    for side in (0, 1):
        after = [tokenizer()(wording[side], add_special_tokens=False)["input_ids"] for wording in contrast.wordings]
        for number, pair in enumerate(contrast.pairs):
            ids = tokenizer()(pair[side], add_special_tokens=False)["input_ids"]
            rows += [ids + after[(number + step) % len(after)] for step in (0, 5, 11)]
    longest = max(map(len, rows))
    tokens = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(60):
        chosen = torch.randperm(len(tokens), generator=order)[:48]
        logits = model(input_ids=tokens[chosen], attention_mask=mask[chosen]).logits[:, -2].float()
        loss = torch.nn.functional.cross_entropy(logits, tokens[chosen, -1])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval()


def test_what_a_model_tells_apart_is_asked() -> None:
    behaviour = Behaviour(under(taught()))
    assert (behaviour.lacking, behaviour.name) == ("", "the language of a text")
    beats_random_direction(behaviour.harness, behaviour)


@pytest.mark.parametrize("build", [NeverFires, SignLost])
def test_an_adapter_that_does_not_move_it_fails(build: Factory) -> None:
    harness = under(taught(), build)
    with pytest.raises(Violation, match=r"random directions of the same norm.*asked: the language of a text"):
        beats_random_direction(harness, Behaviour(harness))


@pytest.mark.slow
def test_a_model_that_was_never_trained_has_none() -> None:
    for seed in range(SEEDS):
        harness = under(small(seed))
        assert all(told(harness, contrast)[0] for contrast in plain()), seed


def test_without_a_behaviour_nothing_is_trained() -> None:
    harness = under(small(1))
    behaviour = Behaviour(harness, plain())
    passes: list[int] = []
    harness.model.register_forward_pre_hook(lambda *_: passes.append(1))
    with pytest.raises(pytest.skip.Exception) as skipped:
        beats_random_direction(harness, behaviour)
    said = str(skipped.value)
    assert said.startswith(
        "not applicable: the model does not tell apart, by its log-probabilities, the language of a "
    )
    assert all(f"{contrast.name} (" in said for contrast in plain())
    assert " of 16 pairs and " in said
    assert len(passes) == 4 * 4


def test_no_two_wordings_share_a_word() -> None:
    for contrast in plain():
        words = [word for wording in contrast.wordings for word in wording]
        assert len(set(words)) == len(words)
        assert at_least(len(contrast.wordings), len(contrast.wordings)) <= CHANCE
        assert (len(contrast.build), len(contrast.held_out), len(contrast.few)) == (8, 16, 4)


def test_a_tokenizer_without_the_words_says_so() -> None:
    few = Words("few", "{}", plain()[0].wordings[:4], plain()[0].pairs)
    behaviour = Behaviour(under(small(0)), (few,))
    assert behaviour.lacking == (
        "the model does not tell apart, by its log-probabilities, few (the tokenizer has one token for the words of 4 "
        "wordings only)"
    )
