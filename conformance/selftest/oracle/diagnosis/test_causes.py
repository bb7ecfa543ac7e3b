"""The pattern of what arrived points to the cause, or to none."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from pytest_steering.oracle.diagnosis.causes import Cause
from pytest_steering.oracle.diagnosis.passes import SeenPass, likely_passes
from pytest_steering.oracle.diagnosis.strength import SCALES, likely_curve
from pytest_steering.oracle.diagnosis.summary import Failed, likely_of
from pytest_steering.oracle.diagnosis.tokens import NEVER, Evidence, likely_cause, likely_rows
from pytest_steering.steering.plan import Positions
from pytest_steering.suite.model_state import likely_leftover

ROWS, COLUMNS, WIDTH = 3, 5, 8
SCALE = 2.5
VECTOR = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.5, 0.25, -0.75, -0.5], dtype=torch.float64)
ALL = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
BEFORE = torch.randn(ROWS, COLUMNS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def cause(observed: torch.Tensor, where: torch.Tensor = ALL, padding: torch.Tensor | None = None) -> str:
    return likely_cause(Evidence(observed, VECTOR, SCALE, where, padding, before=BEFORE))


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
        (2.0, Cause.TWICE),
        (-1.0, "the vector is subtracted (its sign is lost)"),
        (1 / SCALE, Cause.SCALE_IGNORED),
        (SCALE, Cause.SCALE_TWICE),
        (1 / float(VECTOR.norm()), Cause.NORMALISED),
        (1 / COLUMNS, "the dose is divided by the number of tokens in the pass"),
        (1.5, "the dose is 1.5 times what the plan says"),
    ],
)
def test_doses(times: float, expected: str) -> None:
    assert cause(delta(times=times)) == expected


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (only(slice(0, 1)), "only batch row 0 is steered (output[0] on a layer that returns a tensor)"),
        (only(slice(1, 3)), "batch rows are left out: [0] of 3 rows"),
        (only(slice(0, 2)), "the last batch row is left out: row 2 of 3 rows"),
        (only(slice(0, 3, 2)), "only every other batch row is steered: [1] of 3 rows are not"),
        (only(columns=slice(-1, None)), "only the last position of a pass is steered"),
        (only(columns=slice(0, 1)), "only the first position of a pass is steered"),
        (only(columns=slice(1, None)), "the first position is left out"),
        (only(columns=slice(0, -1)), "the last position is left out"),
    ],
)
def test_places(moved: torch.Tensor, expected: str) -> None:
    assert cause(delta(moved)) == expected


def test_two_rows_do_not_tell_which_of_more_are_left_out() -> None:
    assert likely_rows(torch.tensor([False, False, False]), torch.tensor([True, True, True])) == ""
    assert likely_rows(torch.tensor([True, False]), torch.tensor([True, True])).startswith(Cause.SOME_ROWS)


def test_padding() -> None:
    padding = only(slice(1, 2), slice(0, 2))
    assert cause(delta(), ~padding, padding) == "padding is steered (the attention mask is ignored)"


def test_the_last_column_of_a_padded_batch_is_no_row() -> None:
    padding = only(slice(1, 3), slice(-1, None))
    assert cause(delta(only(slice(0, 1), slice(-1, None))), ~padding, padding) == Cause.LAST_POSITION


def test_positions() -> None:
    where = only(columns=slice(2, 4))
    assert cause(delta(only(columns=slice(3, 5))), where) == "the positions are off by one (one too late)"
    assert cause(delta(only(columns=slice(1, 3))), where) == "the positions are off by one (one too early)"
    assert cause(delta(), where) == "every token is steered, whatever positions the plan names"
    assert cause(delta(where.reshape(COLUMNS, ROWS).T), where).startswith(Cause.EXCHANGED)


def test_elements() -> None:
    asked = VECTOR * SCALE
    assert cause(ALL.unsqueeze(-1) * asked.roll(1)) == "the elements of the vector are shifted by +1"
    half = delta()
    half[..., 4:] = 0
    assert cause(half) == "elements of the vector are left out: [4, 5, 6, 7]"
    assert cause(delta().clamp(-4, 4)) == "the largest elements of the vector are clipped at 4: [1, 3]"
    assert cause(torch.ones(ROWS, COLUMNS, WIDTH, dtype=torch.float64)) == Cause.BROADCAST


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_vector_that_passed_through_half_precision(dtype: torch.dtype) -> None:
    third = VECTOR / 3
    for received in ((third * SCALE).to(dtype).double(), third.to(dtype).double() * SCALE):
        evidence = Evidence(ALL.unsqueeze(-1) * received, third, SCALE, ALL)
        assert likely_cause(evidence) == f"the vector is rounded to {str(dtype).removeprefix('torch.')}"


def test_what_depends_on_the_residual_stream() -> None:
    after = BEFORE + delta()
    kept = after * (BEFORE.norm(dim=-1) / after.norm(dim=-1)).unsqueeze(-1)
    assert cause(kept - BEFORE).startswith(Cause.NORM_KEPT)
    along = (BEFORE @ VECTOR / (VECTOR @ VECTOR)).unsqueeze(-1) * VECTOR
    assert cause(delta() - along).startswith(Cause.COMPONENT)


def test_an_unknown_pattern_has_no_cause() -> None:
    noise = torch.randn(ROWS, COLUMNS, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert cause(noise) == ""


@pytest.mark.parametrize(
    ("dose", "expected"),
    [
        (lambda scale: scale, ""),
        (lambda scale: 2 * scale, "the vector is added twice"),
        (lambda scale: -scale, "the vector is subtracted at every scale"),
        (abs, "the sign of the scale is lost"),
        (lambda scale: 1.0, "the scale is ignored"),
        (lambda scale: scale / 5, "the dose is divided by the number of tokens in the pass"),
        (lambda scale: 1.01 * scale, "a constant factor changes every dose: it is 1.01 times the plan's"),
        (lambda scale: float(int(scale)), "the scale is cut to a whole number: 2 where the plan says 2.5"),
        (lambda scale: max(-10.0, min(10.0, scale)), "the scale is clamped to 10: 10 where the plan says 150"),
        (lambda scale: scale * (abs(scale) > 0.01), "small scales are lost: nothing arrives up to 0.002"),
        (lambda scale: scale if scale < 100 else math.nan, "a scale that the dtype can hold is refused: 150"),
        (math.tanh, ""),
        (lambda scale: 0.0, ""),
    ],
)
def test_curves(dose: Callable[[float], float], expected: str) -> None:
    curve = {scale: dose(scale) for scale in SCALES}
    said = likely_curve(curve, eps=1e-7, norm=4.0, columns=5)
    assert said.startswith(expected) if expected else not said


def seen(
    start: int, columns: int, asked: bool, moved: bool | torch.Tensor, dose: float = 1.0, *, even: bool = True
) -> SeenPass:
    where = torch.full((2, columns), asked)
    tokens = moved if isinstance(moved, torch.Tensor) else torch.full((2, columns), moved)
    return SeenPass(start, tokens, where, dose, even)


LAST_OF_THREE = torch.tensor([[False, False, True]] * 2)
DECODING = [(4, 1), (5, 1), (6, 1)]


@pytest.mark.parametrize(
    ("passes", "positions", "expected"),
    [
        ([seen(0, 4, True, True), *(seen(*at, True, False) for at in DECODING)], "ALL", Cause.PROMPT_ONLY),
        (
            [seen(0, 4, True, True), seen(4, 1, True, True), *(seen(*at, True, False) for at in DECODING[1:])],
            "ALL",
            "after some passes nothing is steered any more: 2 of 4 passes are steered",
        ),
        (
            [seen(0, 4, True, True), *(seen(*at, True, True, 0.9**n) for n, at in enumerate(DECODING, 1))],
            "ALL",
            "the dose changes from pass to pass: 1, 0.9, 0.81, 0.729 times the plan's",
        ),
        ([seen(0, 1, True, False), *(seen(n, 1, False, False) for n in (1, 2))], "PROMPT", Cause.ONE_TOKEN),
        ([seen(0, 4, False, False), seen(4, 1, True, False), seen(5, 1, True, True)], "GENERATED", Cause.BORDER),
        ([seen(0, 4, False, True), seen(4, 1, True, True)], "GENERATED", Cause.GENERATED_AS_ALL),
        ([seen(0, 4, True, True), seen(4, 1, False, True)], "PROMPT", Cause.ALL_POSITIONS),
        ([seen(0, 3, False, LAST_OF_THREE), seen(3, 1, True, True)], "LAST", Cause.LAST_OF_PASS),
        ([seen(0, 4, True, True), seen(4, 3, True, LAST_OF_THREE)], "ALL", Cause.LAST_CANDIDATE),
        ([seen(0, 4, True, True), seen(4, 1, True, True, 0.9, even=False)], "ALL", ""),
        ([seen(0, 4, True, True, 2.0), seen(4, 1, True, True, 2.0)], "ALL", ""),
        (
            [seen(0, 4, True, False), seen(4, 1, True, True), seen(5, 1, True, False)],
            "ALL",
            "nothing arrives in passes [0, 2] of 3",
        ),
        ([seen(0, 4, False, False), seen(4, 1, True, True), seen(5, 1, True, False)], "GENERATED", Cause.GIVES_UP),
        ([seen(0, 4, False, False), seen(4, 1, True, False)], "GENERATED", "nothing arrives in passes [1] of 2"),
        ([seen(0, 3, True, True), seen(3, 1, True, False), seen(4, 1, False, False)], "PROMPT", Cause.PROMPT_ONLY),
    ],
)
def test_passes(passes: list[SeenPass], positions: str, expected: str) -> None:
    said = likely_passes(passes, Positions[positions], 4)
    assert said.startswith(expected) if expected else not said


def test_leftovers() -> None:
    hooks = {"_forward_hooks": [1]}
    for what, before, after, expected in (
        ("the hooks of h.0", hooks, {"_forward_hooks": []}, Cause.HOOKS_REMOVED),
        ("the hooks of h.0", hooks, {"_forward_hooks": [1, 2]}, Cause.HOOK_LEFT),
        ("the config", {"use_cache": True}, {"use_cache": False}, f"{Cause.CONFIG}: use_cache of the config"),
        ("the attributes of h.0", ["a"], ["a", "b"], f"{Cause.ATTRIBUTE}: b among the attributes of h.0"),
        ("the training mode of h.0", True, False, Cause.MODE),
        ("the gradient flag of h.0.weight", (True, True), (False, True), Cause.FLAGS),
        ("the class of h.0", int, str, ""),
    ):
        said = likely_leftover(what, before, after)
        assert said.startswith(expected) if expected else not said


def test_the_cause_that_explains_the_others_is_named_first() -> None:
    never, left = Failed("exact-delta", NEVER, "Δ = 0"), Failed("clean-after-exit", f"{Cause.LEFT}: a hook", "other")
    assert likely_of([never, left]) == "something is left behind after the block: a hook"
    assert likely_of([never]) == NEVER
    assert likely_of([]) == ""


def test_without_a_cause_the_numbers_are_given() -> None:
    failures = [Failed("exact-delta", "", "layer 2: max |Δ| 3.1e-02"), Failed("every-row", "some words", "other")]
    assert likely_of(failures) == "unknown pattern; exact-delta: layer 2: max |Δ| 3.1e-02"


def test_no_cause_begins_with_another() -> None:
    assert [cause for cause in Cause if Cause.of(f"{cause} and more") is not cause] == []
