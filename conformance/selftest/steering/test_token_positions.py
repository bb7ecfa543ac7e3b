"""Positions are absolute: the same tokens are steered however a sequence is cut into passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_steering.architecture.virtual_tokens import ExtraPositions
from pytest_steering.steering.plan import Positions
from pytest_steering.steering.token_positions import PassPositions

MASK = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])
TOTAL = 7

WANTED = {
    Positions.ALL: [[1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1]],
    Positions.PROMPT: [[1, 1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0, 0]],
    Positions.GENERATED: [[0, 0, 0, 0, 1, 1, 1]] * 2,
    Positions.LAST: [[0, 0, 0, 1, 1, 1, 1]] * 2,
}

CUTS = {
    "one by one": [4, 1, 1, 1],
    "chunked prefill": [3, 1, 1, 1, 1],
    "single tokens": [1] * 7,
    "several in a decode pass": [4, 3],
    "candidates behind the prompt": [6, 1],
}


class Entry(nn.Module):
    """The signature of a decoder."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, past_key_values: object = None) -> None:
        raise NotImplementedError


class Cache:
    def __init__(self, length: int) -> None:
        self.length = length

    def get_seq_length(self) -> int:
        return self.length


def steered(positions: Positions, cut: list[int], *, source: str) -> list[list[int]]:
    """Which tokens are steered, pass by pass, side by side."""
    passes, entry = PassPositions(positions), Entry()
    whole = torch.nn.functional.pad(MASK, (0, TOTAL - MASK.shape[1]), value=1)
    columns: list[Tensor] = []
    start = 0
    with passes.generating(torch.zeros_like(MASK), MASK):
        for size in cut:
            ids = torch.zeros(2, size, dtype=torch.long)
            mask = whole[:, : start + size] if source == "mask" else None
            given = (ids, mask, Cache(start)) if source == "positional" else (ids,)
            named: dict[str, Any] = {"attention_mask": mask, "past_key_values": Cache(start)}
            if source == "memory":
                named = {"mems": (torch.zeros(start, 2, 4),)}
            elif source in ("positional", "state"):
                named = {}
            passes.begin_pass(entry, given, named)
            found = passes.mask
            columns.append(found if isinstance(found, Tensor) else torch.full((2, size), found))
            start += size
    return torch.cat(columns, 1).int().tolist()


@pytest.mark.parametrize("source", ["mask", "cache", "positional", "memory", "state"])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("positions", list(Positions))
def test_however_it_is_cut(positions: Positions, cut: str, source: str) -> None:
    assert steered(positions, CUTS[cut], source=source) == WANTED[positions]


@pytest.mark.parametrize("positions", list(Positions))
def test_without_a_cache_every_pass_starts_at_zero(positions: Positions) -> None:
    passes, entry = PassPositions(positions), Entry()
    with passes.generating(torch.zeros_like(MASK), MASK):
        for size in (4, 5, 6, 7):
            passes.begin_pass(entry, (torch.zeros(2, size, dtype=torch.long),), {})
            found = passes.mask
            found = found if isinstance(found, Tensor) else torch.full((2, size), found)
            assert found.int().tolist() == [row[:size] for row in WANTED[positions]]


def test_a_token_that_the_model_puts_behind_the_prompt_is_generated() -> None:
    for positions, wanted in WANTED.items():
        passes = PassPositions(positions)
        with passes.generating(torch.zeros_like(MASK), MASK):
            ids = torch.zeros(2, MASK.shape[1] + 1, dtype=torch.long)
            passes.begin_pass(Entry(), (), {"input_ids": ids, "attention_mask": MASK})
        found = passes.mask
        found = found if isinstance(found, Tensor) else torch.full(ids.shape, found)
        assert found.int().tolist() == [row[: ids.shape[1]] for row in wanted]


def test_where_the_model_has_positions_of_its_own_the_mask_is_never_simply_true() -> None:
    passes = PassPositions(Positions.ALL, ExtraPositions(3))
    passes.begin_pass(Entry(), (torch.zeros_like(MASK),), {})
    assert isinstance(passes.mask, Tensor)
    assert passes.mask.all()


def test_an_encoder_decoder_is_followed_by_the_decoders_tokens() -> None:
    passes = PassPositions(Positions.ALL)
    source = {"input_ids": torch.zeros(2, 9, dtype=torch.long), "attention_mask": torch.ones(2, 9)}
    given = {"decoder_input_ids": torch.zeros_like(MASK), "decoder_attention_mask": MASK}
    passes.begin_pass(Entry(), (), source | given)
    assert isinstance(passes.mask, Tensor)
    assert passes.mask.int().tolist() == MASK.tolist()


def test_a_plain_forward_pass_is_all_prompt() -> None:
    expected = {
        Positions.ALL: [[1, 1, 1, 1], [0, 0, 1, 1]],
        Positions.PROMPT: [[1, 1, 1, 1], [0, 0, 1, 1]],
        Positions.LAST: [[0, 0, 0, 1], [0, 0, 0, 1]],
    }
    for positions, wanted in expected.items():
        passes = PassPositions(positions)
        passes.begin_pass(Entry(), (), {"input_ids": torch.zeros_like(MASK), "attention_mask": MASK})
        assert isinstance(passes.mask, Tensor)
        assert passes.mask.int().tolist() == wanted
    passes = PassPositions(Positions.GENERATED)
    passes.begin_pass(Entry(), (torch.zeros_like(MASK),), {})
    assert passes.mask is False


def test_last_with_padding_on_the_right() -> None:
    passes = PassPositions(Positions.LAST)
    passes.begin_pass(Entry(), (), {"input_ids": torch.zeros_like(MASK), "attention_mask": MASK.flip(1)})
    assert isinstance(passes.mask, Tensor)
    assert passes.mask.int().tolist() == [[0, 0, 0, 1], [0, 1, 0, 0]]


def test_beams_repeat_each_row() -> None:
    passes = PassPositions(Positions.ALL)
    with passes.generating(torch.zeros_like(MASK), MASK):
        passes.begin_pass(Entry(), (torch.zeros(4, 4, dtype=torch.long),), {})
    assert isinstance(passes.mask, Tensor)
    assert passes.mask.int().tolist() == [[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]


def test_the_rows_of_a_plan_are_those_of_the_prompts() -> None:
    """A search has several rows for each of them, one after the other."""
    ids = torch.zeros(2, 3, dtype=torch.long)
    passes = PassPositions(Positions.ALL, rows=(1, 7))
    passes.begin_pass(Entry(), (), {"input_ids": ids})
    assert isinstance(passes.mask, Tensor)
    assert passes.mask.tolist() == [[False] * 3, [True] * 3]
    with passes.generating(ids, None):
        passes.begin_pass(Entry(), (), {"input_ids": ids.repeat_interleave(2, dim=0)})
        assert passes.mask.any(1).tolist() == [False, False, True, True]
