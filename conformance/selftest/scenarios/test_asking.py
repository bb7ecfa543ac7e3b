"""Which tokens a plan steers, in every pass, by definition."""

from __future__ import annotations

import torch

from pytest_steering.architecture.observation import Pass
from pytest_steering.scenarios.asking import steered_tokens
from pytest_steering.scenarios.calls import Ask
from pytest_steering.scenarios.prompts import Fed
from pytest_steering.steering.plan import Positions, SteeringPlan

REAL = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]], dtype=torch.bool)
VECTORS = {0: torch.ones(2)}


def tokens(
    positions: Positions,
    start: int,
    columns: int,
    *,
    rows: int = 2,
    generates: bool = True,
    only: tuple[int, ...] | None = None,
) -> list[list[int]]:
    fed = Fed(torch.zeros_like(REAL, dtype=torch.long), REAL, None)
    ask = Ask(fed, 0 if generates else start, generates=generates)
    return (
        steered_tokens(SteeringPlan(VECTORS, positions=positions, rows=only), ask)(Pass(start, columns, rows=rows))
        .int()
        .tolist()
    )


def test_the_prompt_and_what_comes_after() -> None:
    assert tokens(Positions.ALL, 0, 4) == [[1, 1, 1, 0], [0, 1, 1, 1]]
    assert tokens(Positions.LAST, 0, 4) == [[0, 0, 1, 0], [0, 0, 0, 1]]
    assert tokens(Positions.PROMPT, 3, 3) == [[0, 0, 0], [1, 0, 0]]
    assert tokens(Positions.GENERATED, 3, 3) == [[0, 1, 1], [0, 1, 1]]
    assert tokens(Positions.LAST, 4, 2) == [[1, 1], [1, 1]]


def test_rows_are_repeated_in_place() -> None:
    assert tokens(Positions.ALL, 0, 4, rows=4) == [[1, 1, 1, 0]] * 2 + [[0, 1, 1, 1]] * 2
    assert tokens(Positions.ALL, 0, 4, rows=4, only=(0, 9)) == [[1, 1, 1, 0]] * 2 + [[0, 0, 0, 0]] * 2


def test_a_forward_pass_is_all_prompt() -> None:
    assert tokens(Positions.ALL, 2, 2, generates=False) == [[1, 0], [1, 1]]
    assert tokens(Positions.LAST, 2, 2, generates=False) == [[1, 0], [0, 1]]
    assert tokens(Positions.GENERATED, 2, 2, generates=False) == [[0, 0], [0, 0]]
    assert tokens(Positions.ALL, 2, 2, generates=False, only=(1,)) == [[0, 0], [1, 1]]
