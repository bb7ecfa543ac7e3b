"""Virtual tokens before a prompt are found, and are left out of what a pass is said to be given."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from pytest_steering.fixtures import soft_prompts
from torch import Tensor, nn
from transformers import DynamicCache, GenerationConfig

from pytest_steering.architecture.detection import detect_architecture
from pytest_steering.architecture.inputs import begins_at, input_mask, input_tokens
from pytest_steering.architecture.observation import observe
from pytest_steering.architecture.virtual_tokens import ExtraPositions, TokensAlone
from pytest_steering.targets.tiny.models import tiny_model

IDS = torch.tensor([[0, 0, 5, 6, 7], [8, 9, 10, 11, 12]])
MASK = (IDS > 0).long()
EMBEDDED, CACHED = ExtraPositions(4, 4, 4), ExtraPositions(0, 4, 0)


class Entry(nn.Module):
    """What takes tokens in either form."""

    def forward(self, input_ids: Any = None, attention_mask: Any = None, inputs_embeds: Any = None) -> None:
        """Nothing is computed."""


def holding(tokens: int) -> DynamicCache:
    cache = DynamicCache()
    if tokens:
        cache.update(*torch.zeros(2, 2, 1, tokens, 8), 0)
    return cache


def read(alone: TokensAlone, *args: Any, **kwargs: Any) -> tuple[tuple[int, ...], int | None, Tensor | None]:
    """The shape of the tokens that are left, where they begin, and their mask."""
    args, given = alone(Entry(), args, kwargs)
    tokens, mask = input_tokens(given, args), input_mask(given)
    return tuple(tokens.shape[:2]), begins_at(given, tokens.shape[1], mask), mask


def widened(mask: Tensor) -> Tensor:
    return torch.cat((torch.ones(len(mask), 4), mask), dim=1)


@pytest.mark.parametrize(
    ("make", "extra"), [(soft_prompts.embedded, EMBEDDED), (soft_prompts.cached, CACHED)], ids=["embedded", "cached"]
)
def test_they_are_found_and_each_pass_is_seen_without_them(make: Any, extra: ExtraPositions) -> None:
    model = make()
    architecture = detect_architecture(model)
    assert (architecture.entry_name, architecture.extra_positions) == ("model.model", extra)
    seen = observe(architecture, (), lambda: model(input_ids=IDS, attention_mask=MASK)).passes
    assert [(each.start, each.columns) for each in seen] == [(0, 5)]
    settings = GenerationConfig(max_new_tokens=3, min_new_tokens=3, pad_token_id=0)
    run = observe(
        architecture,
        (0,),
        lambda: model.generate(input_ids=IDS, attention_mask=MASK, generation_config=settings),
    )
    assert [(each.start, each.columns) for each in run.passes] == [(0, 5), (5, 1), (6, 1)]
    assert [tuple(each.received[0].shape[:2]) for each in run.passes] == [(2, 5 + extra.in_stream), (2, 1), (2, 1)]


@pytest.mark.parametrize("make", [soft_prompts.embedded, soft_prompts.cached], ids=["embedded", "cached"])
def test_a_copy_that_generates_in_its_place_is_seen(make: Any) -> None:
    """The copy's wrapper is not called: the model inside is."""
    model = make()
    architecture, copied = detect_architecture(model), copy.deepcopy(model)
    settings = GenerationConfig(max_new_tokens=3, min_new_tokens=3, pad_token_id=0)
    options = {"input_ids": IDS, "attention_mask": MASK, "generation_config": settings}
    seen, own = (
        observe(architecture, (0,), lambda run=run: run.generate(**options)).passes  # type: ignore[misc]
        for run in (copied, model)
    )
    assert [(each.start, each.columns) for each in seen] == [(0, 5), (5, 1), (6, 1)]
    assert all(torch.equal(each.received[0], mine.received[0]) for each, mine in zip(seen, own, strict=True))
    once = observe(architecture, (0,), lambda: copied(input_ids=IDS, attention_mask=MASK)).passes
    assert [(each.start, each.columns) for each in once] == [(0, 5)], "the wrapper and the model inside are one pass"


def test_a_model_without_them_keeps_its_entry() -> None:
    architecture = detect_architecture(tiny_model("llama"))
    assert (architecture.entry_name, architecture.extra_positions) == ("model", ExtraPositions())
    given = {"input_ids": IDS}
    assert TokensAlone(ExtraPositions())(Entry(), (MASK,), given) == ((MASK,), given)


@pytest.mark.parametrize("named", [True, False], ids=["keywords", "positions"])
def test_embedded_ones_stand_among_the_tokens(named: bool) -> None:
    alone, embeddings = TokensAlone(EMBEDDED), torch.zeros(2, 9, 8)
    given = {"attention_mask": widened(MASK), "inputs_embeds": embeddings} if named else {}
    shape, start, mask = read(alone, *(() if named else (None, widened(MASK), embeddings)), **given)
    assert (shape, start) == ((2, 5), 0)
    assert mask is not None
    assert mask.tolist() == MASK.tolist()


def test_a_later_pass_begins_after_the_tokens_alone() -> None:
    alone, cache = TokensAlone(EMBEDDED), holding(0)
    read(alone, inputs_embeds=torch.zeros(2, 9, 8), attention_mask=widened(MASK), past_key_values=cache)
    cache.update(*torch.zeros(2, 2, 1, 9, 8), 0)
    one, mask = IDS[:, :1], torch.ones(2, 10)
    assert read(alone, input_ids=one, attention_mask=mask, past_key_values=cache)[:2] == ((2, 1), 5)
    assert read(alone, input_ids=one, past_key_values=cache)[:2] == ((2, 1), 5)


def test_those_in_the_cache_are_not_counted() -> None:
    cache = holding(4)
    given = {"input_ids": IDS, "past_key_values": cache}
    assert read(TokensAlone(CACHED), attention_mask=widened(MASK), **given)[:2] == ((2, 5), 0)
    assert read(TokensAlone(CACHED), **given)[:2] == ((2, 5), 0)


def test_a_wrapper_may_put_them_before_each_pass() -> None:
    alone, cache = TokensAlone(EMBEDDED), holding(0)
    first = {"inputs_embeds": torch.zeros(2, 9, 8), "past_key_values": cache}
    assert read(alone, **first)[:2] == ((2, 5), 0)
    cache.update(*torch.zeros(2, 2, 1, 9, 8), 0)
    assert read(alone, **first)[:2] == ((2, 5), 5)
    cache.update(*torch.zeros(2, 2, 1, 9, 8), 0)
    assert read(alone, **first)[:2] == ((2, 5), 10)


@pytest.mark.parametrize("cached", [True, False])
def test_a_generation_that_forgets_them_has_none(cached: bool) -> None:
    """Virtual tokens have no ids, so a pass over ids that begins at nothing has none, nor what goes on from it."""
    alone = TokensAlone(EMBEDDED)
    memory = {"past_key_values": holding(0)} if cached else {}
    assert read(alone, input_ids=IDS, attention_mask=MASK, **memory)[:2] == ((2, 5), 0)
    if not cached:
        return
    memory["past_key_values"].update(*torch.zeros(2, 2, 1, 5, 8), 0)
    assert read(alone, input_ids=IDS[:, :1], attention_mask=torch.ones(2, 6), **memory)[:2] == ((2, 1), 5)
    again = holding(4)
    assert read(TokensAlone(CACHED), input_ids=IDS, attention_mask=widened(MASK), past_key_values=again)[1] == 0
    assert read(alone, inputs_embeds=torch.zeros(2, 9, 8), past_key_values=holding(0))[:2] == ((2, 5), 0)
