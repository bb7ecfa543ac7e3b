"""The pattern of what arrived points to the cause, or to none."""

from __future__ import annotations

import pytest
import torch

from pytest_steering.diagnosis import NEVER, Evidence, likely_cause

ROWS, COLUMNS, WIDTH = 3, 5, 8
SCALE = 2.5
VECTOR = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.5, 0.25, -0.75, -0.5], dtype=torch.float64)
ALL = torch.ones(ROWS, COLUMNS, dtype=torch.bool)


def cause(observed: torch.Tensor, where: torch.Tensor = ALL, padding: torch.Tensor | None = None) -> str:
    return likely_cause(Evidence(observed, VECTOR, SCALE, where, padding))


def delta(mask: torch.Tensor = ALL, times: float = 1.0) -> torch.Tensor:
    return mask.unsqueeze(-1) * VECTOR * SCALE * times


def only(rows: slice = slice(None), columns: slice = slice(None)) -> torch.Tensor:
    mask = torch.zeros_like(ALL)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (0.0, NEVER),
        (2.0, "the vector is added twice"),
        (-1.0, "the vector is subtracted (its sign is lost)"),
        (1 / SCALE, "the scale is ignored"),
        (SCALE, "the scale is applied twice"),
        (1 / float(VECTOR.norm()), "the vector is normalised before it is added"),
        (1.5, "the dose is 1.5 times what the plan says"),
    ],
)
def test_doses(times: float, expected: str) -> None:
    assert cause(delta(times=times)) == expected


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (only(slice(0, 1)), "only batch row 0 is steered (output[0] on a layer that returns a tensor)"),
        (only(slice(1, 3)), "batch rows [0] are not steered"),
        (only(columns=slice(-1, None)), "only the last position of a pass is steered"),
        (only(columns=slice(0, 1)), "only the first position of a pass is steered"),
        (only(columns=slice(1, None)), "the first position is left out"),
        (only(columns=slice(0, -1)), "the last position is left out"),
    ],
)
def test_places(moved: torch.Tensor, expected: str) -> None:
    assert cause(delta(moved)) == expected


def test_padding() -> None:
    padding = only(slice(1, 2), slice(0, 2))
    assert cause(delta(), ~padding, padding) == "padding is steered (the attention mask is ignored)"


def test_positions() -> None:
    where = only(columns=slice(2, 4))
    assert cause(delta(only(columns=slice(3, 5))), where) == "the positions are off by one (one too late)"
    assert cause(delta(only(columns=slice(1, 3))), where) == "the positions are off by one (one too early)"
    assert cause(delta(), where) == "every token is steered, whatever positions the plan names"


def test_directions() -> None:
    shifted = ALL.unsqueeze(-1) * (VECTOR * SCALE).roll(1)
    assert cause(shifted) == "the elements of the vector are shifted"
    half = delta()
    half[..., 4:] = 0
    assert cause(half) == "only 4 of 8 elements of the vector are added"
    assert cause(torch.ones(ROWS, COLUMNS, WIDTH, dtype=torch.float64)) == (
        "one number is added to every element (a vector of another shape is broadcast)"
    )


def test_an_unknown_pattern_has_no_cause() -> None:
    noise = torch.randn(ROWS, COLUMNS, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert cause(noise) == ""
