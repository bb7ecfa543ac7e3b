"""The pattern of what arrived points to the cause, or to none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
import torch

from pytest_steering.oracle.diagnosis.causes import PATTERNS, Cause, Diagnosis
from pytest_steering.oracle.diagnosis.passes import SeenPass, likely_passes
from pytest_steering.oracle.diagnosis.strength import SCALES, likely_curve
from pytest_steering.oracle.diagnosis.summary import Explanation, Failed, explanation_of
from pytest_steering.oracle.diagnosis.tokens import Evidence, likely_cause, likely_rows
from pytest_steering.oracle.model_state import Kind, Piece, likely_leftover
from pytest_steering.steering.plan import Positions

ROWS, COLUMNS, WIDTH = 3, 5, 8
SCALE = 2.5
VECTOR = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.5, 0.25, -0.75, -0.5], dtype=torch.float64)
ALL = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
BEFORE = torch.randn(ROWS, COLUMNS, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def cause(observed: torch.Tensor, where: torch.Tensor = ALL, padding: torch.Tensor | None = None) -> str:
    return str(likely_cause(Evidence(observed, VECTOR, SCALE, where, padding, before=BEFORE)) or "")


def delta(mask: torch.Tensor = ALL, times: float = 1.0) -> torch.Tensor:
    return mask.unsqueeze(-1) * VECTOR * SCALE * times


def only(rows: slice = slice(None), columns: slice = slice(None)) -> torch.Tensor:
    mask = torch.zeros_like(ALL)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (0.0, Cause.NEVER.sentence),
        (2.0, Cause.TWICE.sentence),
        (-1.0, "the vector is subtracted"),
        (1 / SCALE, Cause.SCALE_IGNORED.sentence),
        (SCALE, Cause.SCALE_TWICE.sentence),
        (1 / float(VECTOR.norm()), Cause.NORMALISED.sentence),
        (1 / COLUMNS, Cause.DIVIDED.sentence),
        (1.5, f"{Cause.ANOTHER_SCALE.sentence}: 1.5 times what the plan says"),
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
        (only(columns=slice(0, 1)), f"{Cause.POSITIONS.sentence}: all but the first"),
        (only(columns=slice(1, None)), f"{Cause.POSITIONS.sentence}: the first"),
        (only(columns=slice(0, -1)), f"{Cause.POSITIONS.sentence}: the last"),
    ],
)
def test_places(moved: torch.Tensor, expected: str) -> None:
    assert cause(delta(moved)) == expected


def test_two_rows_do_not_tell_which_of_more_are_left_out() -> None:
    assert likely_rows(torch.tensor([False, False, False]), torch.tensor([True, True, True])) is None
    said = likely_rows(torch.tensor([True, False]), torch.tensor([True, True]))
    assert said is not None
    assert said.cause is Cause.SOME_ROWS


def test_padding() -> None:
    padding = only(slice(1, 2), slice(0, 2))
    assert cause(delta(), ~padding, padding) == "padding is steered (the attention mask is ignored)"


def test_the_last_column_of_a_padded_batch_is_no_row() -> None:
    padding = only(slice(1, 3), slice(-1, None))
    assert cause(delta(only(slice(0, 1), slice(-1, None))), ~padding, padding) == Cause.LAST_POSITION.sentence


def test_positions() -> None:
    where = only(columns=slice(2, 4))
    assert cause(delta(only(columns=slice(3, 5))), where) == "the positions are off by one: one too late"
    assert cause(delta(only(columns=slice(1, 3))), where) == "the positions are off by one: one too early"
    assert cause(delta(), where) == "every token is steered, whatever positions the plan names"
    assert cause(delta(where.reshape(COLUMNS, ROWS).T), where) == Cause.EXCHANGED.sentence


def test_elements() -> None:
    asked = VECTOR * SCALE
    assert cause(ALL.unsqueeze(-1) * asked.roll(1)) == "the elements of the vector are shifted: by +1"
    half = delta()
    half[..., 4:] = 0
    assert cause(half) == "elements of the vector are left out: [4, 5, 6, 7]"
    assert cause(delta().clamp(-4, 4)) == "the largest elements of the vector are clipped: at 4, [1, 3]"
    assert cause(torch.ones(ROWS, COLUMNS, WIDTH, dtype=torch.float64)) == Cause.BROADCAST.sentence


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_vector_that_passed_through_half_precision(dtype: torch.dtype) -> None:
    third = VECTOR / 3
    for received in ((third * SCALE).to(dtype).double(), third.to(dtype).double() * SCALE):
        evidence = Evidence(ALL.unsqueeze(-1) * received, third, SCALE, ALL)
        assert likely_cause(evidence) == Diagnosis(Cause.ROUNDED, f"to {str(dtype).removeprefix('torch.')}")


def test_what_depends_on_the_residual_stream() -> None:
    after = BEFORE + delta()
    kept = after * (BEFORE.norm(dim=-1) / after.norm(dim=-1)).unsqueeze(-1)
    assert cause(kept - BEFORE) == Cause.NORM_KEPT.sentence
    along = (BEFORE @ VECTOR / (VECTOR @ VECTOR)).unsqueeze(-1) * VECTOR
    assert cause(delta() - along).startswith(Cause.COMPONENT.sentence)


def test_an_unknown_pattern_has_no_cause() -> None:
    noise = torch.randn(ROWS, COLUMNS, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert cause(noise) == ""


@pytest.mark.parametrize(
    ("arrives", "expected"),
    [
        (lambda scale: scale, None),
        (lambda scale: 2 * scale, Diagnosis(Cause.TWICE)),
        (lambda scale: -scale, Diagnosis(Cause.SUBTRACTED, "at every scale")),
        (abs, Diagnosis(Cause.SIGN)),
        (lambda scale: 1.0, Diagnosis(Cause.SCALE_IGNORED)),
        (lambda scale: math.copysign(1.0, scale), Diagnosis(Cause.SCALE_IGNORED, "all but its sign")),
        (lambda scale: scale / 5, Diagnosis(Cause.DIVIDED)),
        (lambda scale: 1.01 * scale, Diagnosis(Cause.FACTOR, "it is 1.01 times the plan's, at every scale")),
        (lambda scale: float(int(scale)), Diagnosis(Cause.WHOLE, "2 where the plan says 2.5")),
        (
            lambda scale: max(-10.0, min(10.0, scale)),
            Diagnosis(Cause.CLAMPED, "to 10, 10 where the plan says 150"),
        ),
        (
            lambda scale: scale * (abs(scale) > 0.01),
            Diagnosis(Cause.SMALL_LOST, "nothing arrives up to 0.002, all of it from 0.02 on"),
        ),
        (lambda scale: scale if scale < 100 else math.nan, Diagnosis(Cause.REFUSED, "150")),
        (math.tanh, None),
        (lambda scale: 0.0, None),
    ],
)
def test_curves(arrives: Callable[[float], float], expected: Diagnosis | None) -> None:
    curve = {scale: arrives(scale) for scale in SCALES}
    assert likely_curve(curve, eps=1e-7, norm=4.0, columns=5) == expected


def seen(
    start: int, columns: int, asked: bool, moved: bool | torch.Tensor, scale: float = 1.0, *, even: bool = True
) -> SeenPass:
    where = torch.full((2, columns), asked)
    tokens = moved if isinstance(moved, torch.Tensor) else torch.full((2, columns), moved)
    return SeenPass(start, tokens, where, scale, even)


LAST_OF_THREE = torch.tensor([[False, False, True]] * 2)
DECODING = [(4, 1), (5, 1), (6, 1)]


@pytest.mark.parametrize(
    ("passes", "positions", "expected"),
    [
        ([seen(0, 4, True, True), *(seen(*at, True, False) for at in DECODING)], "ALL", Cause.PROMPT_ONLY),
        ([seen(0, 1, True, False), *(seen(n, 1, False, False) for n in (1, 2))], "PROMPT", Cause.ONE_TOKEN),
        ([seen(0, 4, False, False), seen(4, 1, True, False), seen(5, 1, True, True)], "GENERATED", Cause.BORDER),
        ([seen(0, 4, False, True), seen(4, 1, True, True)], "GENERATED", Cause.GENERATED_AS_ALL),
        ([seen(0, 4, True, True), seen(4, 1, False, True)], "PROMPT", Cause.ALL_POSITIONS),
        ([seen(0, 3, False, LAST_OF_THREE), seen(3, 1, True, True)], "LAST", Cause.LAST_OF_PASS),
        ([seen(0, 4, True, True), seen(4, 3, True, LAST_OF_THREE)], "ALL", Cause.LAST_CANDIDATE),
        ([seen(0, 4, True, True), seen(4, 1, True, True, 0.9, even=False)], "ALL", None),
        ([seen(0, 4, True, True, 2.0), seen(4, 1, True, True, 2.0)], "ALL", None),
        ([seen(0, 4, False, False), seen(4, 1, True, True), seen(5, 1, True, False)], "GENERATED", Cause.GIVES_UP),
        ([seen(0, 3, True, True), seen(3, 1, True, False), seen(4, 1, False, False)], "PROMPT", Cause.PROMPT_ONLY),
    ],
)
def test_passes(passes: list[SeenPass], positions: str, expected: Cause | None) -> None:
    said = likely_passes(passes, Positions[positions], 4)
    assert (said.cause if said is not None else None) is expected


@pytest.mark.parametrize(
    ("passes", "positions", "expected"),
    [
        (
            [seen(0, 4, True, True), seen(4, 1, True, True), *(seen(*at, True, False) for at in DECODING[1:])],
            "ALL",
            Diagnosis(Cause.GIVES_UP, "2 of 4 passes are steered"),
        ),
        (
            [seen(0, 4, True, True), *(seen(*at, True, True, 0.9**n) for n, at in enumerate(DECODING, 1))],
            "ALL",
            Diagnosis(Cause.FADES, "1, 0.9, 0.81, 0.729 times the plan's"),
        ),
        (
            [seen(0, 4, True, False), seen(4, 1, True, True), seen(5, 1, True, False)],
            "ALL",
            Diagnosis(Cause.SILENT_PASSES, "[0, 2] of 3"),
        ),
        (
            [seen(0, 4, False, False), seen(4, 1, True, False)],
            "GENERATED",
            Diagnosis(Cause.SILENT_PASSES, "[1] of 2"),
        ),
    ],
)
def test_what_is_said_of_passes(passes: list[SeenPass], positions: str, expected: Diagnosis) -> None:
    assert likely_passes(passes, Positions[positions], 4) == expected


HOOKS = {"_forward_hooks": [1]}


@pytest.mark.parametrize(
    ("piece", "before", "after", "expected"),
    [
        (Piece(Kind.HOOKS, "h.0"), HOOKS, {"_forward_hooks": []}, Diagnosis(Cause.HOOKS_REMOVED, "the hooks of h.0")),
        (Piece(Kind.HOOKS, "h.0"), HOOKS, {"_forward_hooks": [1, 2]}, Diagnosis(Cause.HOOK_LEFT, "the hooks of h.0")),
        (
            Piece(Kind.CONFIG, "config"),
            {"use_cache": True},
            {"use_cache": False},
            Diagnosis(Cause.CONFIG, "use_cache of the config"),
        ),
        (
            Piece(Kind.ATTRIBUTES, "h.0"),
            {"a": None},
            {"a": None, "b": 1},
            Diagnosis(Cause.ATTRIBUTE, "b of the attributes of h.0"),
        ),
        (Piece(Kind.MODE, "h.0"), True, False, Diagnosis(Cause.MODE, "the training mode of h.0")),
        (Piece(Kind.FLAG, "w"), (True, True), (False, True), Diagnosis(Cause.FLAGS, "the gradient flag of w")),
        (Piece(Kind.CLASS, "h.0"), int, str, None),
    ],
)
def test_leftovers(piece: Piece, before: object, after: object, expected: Diagnosis | None) -> None:
    assert likely_leftover(piece, before, after) == expected


def failed(name: str, likely: Diagnosis | None, reason: str) -> Failed:
    return Failed(name, likely.cause if likely else "", str(likely or ""), reason)


def test_the_cause_that_explains_the_others_is_named_first() -> None:
    never = failed("exact-delta", Diagnosis(Cause.NEVER), "Δ = 0")
    left = failed("clean-after-exit", Diagnosis(Cause.LEFT, "a hook"), "other")
    assert explanation_of([never, left]) == Explanation(
        "left-behind", "something is left behind after the block: a hook"
    )
    assert explanation_of([never]) == Explanation("never-arrives", Cause.NEVER.sentence)
    assert explanation_of([]) == Explanation()


def test_without_a_cause_the_numbers_are_given() -> None:
    failures = [
        failed("exact-delta", None, "layer 2: max |Δ| 3.1e-02"),
        failed("every-row", Diagnosis(Cause.UNEVEN, "1 to 2 vectors"), "other"),
    ]
    assert explanation_of(failures) == Explanation(text="unknown pattern; exact-delta: layer 2: max |Δ| 3.1e-02")


def test_every_cause_has_an_id_and_a_sentence_of_its_own() -> None:
    assert len({cause.value for cause in Cause}) == len({cause.sentence for cause in Cause}) == len(Cause)
    assert len(Cause) > len(PATTERNS) > 5
    for cause in Cause:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cause.value)
        assert cause.sentence.strip(".") == cause.sentence


def test_the_patterns_stand_last() -> None:
    assert set(list(Cause)[-len(PATTERNS) :]) == PATTERNS
