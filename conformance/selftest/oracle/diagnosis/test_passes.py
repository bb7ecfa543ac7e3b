"""Passes of a generation that look alike and are told apart."""

from __future__ import annotations

import pytest
import torch

from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.passes import SeenPass, likely_passes
from pytest_steering.steering.plan import Positions


def step(start: int, asked: str, moved: str, scale: float = 1.0, *, even: bool = True) -> SeenPass:
    """One row: ``x`` where a token is to be steered or moved."""

    def mask(text: str) -> torch.Tensor:
        return torch.tensor([[letter == "x" for letter in text]] * 2)

    return SeenPass(start, mask(moved), mask(asked), scale, even)


AT_THE_BORDER = Diagnosis(Cause.BORDER, "position 3, off by one at the border")


@pytest.mark.parametrize(
    ("passes", "positions", "expected"),
    [
        ([step(0, "xxx", "..x"), step(3, "x", "x")], "ALL", None),
        ([step(0, "xxx", "xxx"), step(3, "xx", ".x")], "ALL", Diagnosis(Cause.LAST_CANDIDATE)),
        ([step(0, "xxx", "xxx"), step(3, "xx", "xx"), step(5, "xx", "x.")], "ALL", None),
        ([step(0, "...", "..."), step(3, "x", "."), step(4, "x", "x")], "GENERATED", AT_THE_BORDER),
        ([step(0, "...", "..x"), step(3, "x", "x")], "GENERATED", None),
        ([step(0, "xxx", "xxx"), step(3, ".", "x")], "PROMPT", Diagnosis(Cause.ALL_POSITIONS)),
        ([step(0, "xxx", "..."), step(3, "x", ".")], "ALL", Diagnosis(Cause.SILENT_PASSES, "[0, 1] of 2")),
        ([step(0, "xx", "xx"), step(2, "x", "x", 0.995)], "ALL", None),
        ([step(0, "xx", "xx"), step(2, "x", "x", 0.9)], "ALL", Diagnosis(Cause.FADES, "1, 0.9 times the plan's")),
    ],
)
def test_passes(passes: list[SeenPass], positions: str, expected: Diagnosis | None) -> None:
    assert likely_passes(passes, Positions[positions], 3) == expected
