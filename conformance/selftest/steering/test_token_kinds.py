"""The kinds of token are the same that the positions of a pass tell, in every pass of every prompt."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytest_steering.steering import token_kinds
from pytest_steering.steering.plan import Positions
from pytest_steering.steering.token_kinds import TokenKinds, steered_kinds
from pytest_steering.steering.token_positions import Generation, PassPositions, Prompt

ROWS, COLUMNS = 4, 6
MASKS = {
    "none": None,
    "full": torch.ones(ROWS, COLUMNS, dtype=torch.long),
    "left": torch.arange(COLUMNS).expand(ROWS, -1).ge(torch.tensor([0, 2, 5, 1])[:, None]).long(),
    "right": torch.arange(COLUMNS).expand(ROWS, -1).lt(torch.tensor([6, 2, 5, 1])[:, None]).long(),
    "holes": torch.tensor([[1, 0, 1, 1, 0, 1], [0, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1], [0, 0, 1, 0, 1, 1]]),
}


class Cache:
    """A cache that knows how many tokens it holds, as a number or as a tensor."""

    def __init__(self, length: int, room: int = -1) -> None:
        self._length, self._room = length, room

    def get_seq_length(self) -> Any:
        return torch.tensor(self._length) if self._room > 0 else self._length

    def get_max_length(self) -> int:
        return self._room


def passes(mask: Tensor | None, chunk: int, new: int, room: int, beams: int) -> list[dict[str, Any]]:
    """The calls of a prompt in chunks, and of as many new tokens, each with its mask and its cache."""
    edges = [*range(0, COLUMNS, chunk), *range(COLUMNS, COLUMNS + new + 1)]
    calls = []
    for start, end in pairwise(edges):
        ids = torch.ones(ROWS * beams, end - start, dtype=torch.long)
        call: dict[str, Any] = {"input_ids": ids, "past_key_values": Cache(start, room)}
        if mask is not None:
            wide = torch.nn.functional.pad(mask, (0, max(new, room - COLUMNS)), value=1).repeat_interleave(beams, 0)
            call["attention_mask"] = wide[:, : room if room > 0 else end]
        calls.append(call)
    return calls


def told(kinds: TokenKinds, call: dict[str, Any], positions: Positions) -> Tensor:
    found = kinds.of_pass(call)
    assert found is not None
    return torch.isin(found, torch.tensor(steered_kinds(positions)))


@pytest.mark.parametrize("positions", list(Positions))
@pytest.mark.parametrize("given", list(MASKS))
def test_every_pass_has_the_kinds_that_its_positions_tell(given: str, positions: Positions) -> None:
    """Prompts whole and in chunks, generated from or not, with beams, and with a mask as wide as a static cache."""
    mask = MASKS[given]
    for chunk, new, room, beams, masked in product((6, 4, 1), (0, 2), (-1, 12), (1, 2), (True, False)):
        if not masked and (mask is None or given == "holes"):
            continue
        prompt = Prompt(ROWS, COLUMNS, mask if masked else None) if new else None
        generation, kinds = Generation(), TokenKinds(torch.device("cpu"))
        generation.prompt = prompt
        by_positions = PassPositions(positions, generation=generation)
        with kinds.following(prompt):
            for call in passes(mask, chunk, new, room, beams):
                by_positions.begin_pass(nn.Identity(), (), call)
                rows, columns = call["input_ids"].shape
                wanted = torch.as_tensor(by_positions.mask).expand(rows, columns)
                case = f"{chunk=} {new=} {room=} {beams=} {masked=} at {by_positions.start}"
                assert torch.equal(told(kinds, call, positions), wanted), case


def test_a_prompt_that_is_too_large_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_kinds, "ROWS", 1)
    monkeypatch.setattr(token_kinds, "COLUMNS", 3)
    test_every_pass_has_the_kinds_that_its_positions_tell("left", Positions.LAST)


def test_a_state_that_does_not_tell_how_much_it_has_seen_tells_nothing() -> None:
    kinds = TokenKinds(torch.device("cpu"))
    ids = torch.ones(1, 1, dtype=torch.long)
    assert kinds.of_pass({"input_ids": ids, "state": [torch.zeros(1)]}) is None
    assert kinds.of_pass({"input_ids": ids}) is not None
