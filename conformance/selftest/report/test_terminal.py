"""What a run found, on the terminal."""

from __future__ import annotations

from conformance.selftest.desk import BAD, FEW, MODEL, RIGHT, TIMID, Desk
from pytest_steering._version import SUITE_VERSION
from pytest_steering.report.model import Model, Outcome, Result, Row
from pytest_steering.report.terminal import verdict
from pytest_steering.steering.capability import Capability
from pytest_steering.suite.catalogue import Asked

FOUND = "Found trunk with 4 layers, hidden size 16; steering layers [1, 2, 3]"
ROW_ZERO = "likely: only batch row 0 is steered (output[0] on a layer that returns a tensor)"
PART = f"as far as it ran, {len(Asked().requirements) - 4} of {len(Asked().requirements)} requirements left out"
NOTHING_DECLARED = f"declares 0 of {len(Capability)} capabilities: none"


def test_a_block_for_each_model_and_adapter_and_then_the_verdicts(desk: Desk) -> None:
    adapters = ("--steering-adapter=my_steering:Old", TIMID)
    result = desk.run(MODEL, "--steering-model=my_models:broken", *adapters, *FEW)
    text = result.stdout.str().partition("- my_models:a with OldAdapter 0.3 -")[2]
    lines = [line for line in text.splitlines()[1:] if not line.startswith(("=", "ERROR", "FAILED"))]
    nothing = [
        "architecture     0 passed, 1 failed: layers-found",
        "divergence       0 passed, 1 failed: exact-delta",
        "positions        0 passed, 1 failed: every-row",
        "reproducibility  0 passed, 1 failed: same-twice",
    ]
    error = "error: my_models:broken: calling it raised ValueError: the weights end in the middle"
    assert [line if not line.startswith("-") else line.strip("- ") for line in lines] == [
        FOUND,
        "architecture     1 passed",
        "divergence       0 passed, 1 failed: exact-delta",
        "positions        0 passed, 1 failed: every-row",
        "reproducibility  1 passed",
        ROW_ZERO,
        "my_models:a with Timid",
        FOUND,
        NOTHING_DECLARED,
        "architecture     1 passed",
        "divergence       6 passed",
        "positions        0 passed, 1 n.a.: every-row",
        "reproducibility  1 passed",
        "my_models:broken with my_steering:Old",
        *nothing,
        "my_models:broken with my_steering:Timid",
        *nothing,
        "steering",
        f"my_models:a with OldAdapter 0.3: fails 1.1 {PART} (2 passed, 2 failed: exact-delta, every-row)",
        f"my_models:a with Timid: conforms to 1.1 {PART} (8 passed, 1 n.a.: every-row)",
        f"my_models:broken with my_steering:Old: {error}",
        f"my_models:broken with my_steering:Timid: {error}",
    ]
    head = "steering: my_models:a, my_models:broken with my_steering:Old, my_steering:Timid"
    assert result.outlines.count(head) == 1


def test_what_there_is_to_note_is_noted_once(desk: Desk) -> None:
    model = "--steering-model=pytest_steering.fixtures.unusual:Looped"
    result = desk.run(model, RIGHT, "-k", "layers_found or residual_shape")
    note = "note: each layer runs 4 times in a pass; a steering vector is added each time"
    assert sum(line.startswith(note) for line in result.outlines) == 1


def test_a_sweep_shows_the_blocks_of_those_that_do_not_conform_and_the_counts(desk: Desk) -> None:
    desk.write(row="\n".join(["from my_models import a, broken", *(f"m{number} = a" for number in range(10))]))
    specs = [f"row:m{number}" for number in range(10)]
    specs.insert(7, "row:broken")
    options = ("-k", "layers_found or (every_row and first)", "-rN", "--tb=no")
    result = desk.run(*(f"--steering-model={spec}" for spec in specs), RIGHT, BAD, *options)
    lines = result.stdout.str().partition("collected")[2].splitlines()
    blocks = [line.strip("- ") for line in lines if line.startswith("--")]
    bad = [f"{spec} with {'my_steering:' * (spec == 'row:broken')}FirstRowOnly" for spec in specs]
    bad.insert(specs.index("row:broken"), "row:broken with my_steering:Right")
    assert blocks == [*bad, "steering"]
    verdicts = lines[next(n for n, line in enumerate(lines) if line.strip("- ") == "steering") + 1 : -1]
    assert len(verdicts) == 2 * len(specs) + 1
    assert verdicts[0].startswith("row:m0 with Right: conforms to 1.1 ")
    assert verdicts[1].startswith("row:m0 with FirstRowOnly: fails 1.1 ")
    assert verdicts[-1] == "22 subjects: 10 conform, 10 fail, 2 error"


def test_a_part_of_the_suite_says_that_it_is_one(desk: Desk) -> None:
    desk.run(MODEL, RIGHT, *FEW).stdout.fnmatch_lines([f"my_models:a with Right: conforms to 1.1 {PART} (11 passed)"])


def whole(**outcomes: Outcome) -> Row:
    """A row with one test of every requirement: passed, but for those that are named."""
    results = tuple(
        Result(
            each.nodeid,
            each.id,
            each.group,
            "tiny:llama",
            "hooks",
            outcome=outcomes.get(each.id.replace("-", "_"), Outcome.PASSED),
        )
        for each in Asked().requirements.values()
    )
    return Row("tiny:llama", "hooks", "hooks", Model(), results)


def test_the_whole_suite_is_no_part() -> None:
    count = len(Asked().requirements)
    who = "tiny:llama with hooks:"
    assert verdict(whole()) == f"{who} conforms to {SUITE_VERSION} ({count} passed)"
    assert verdict(whole(beams=Outcome.NOT_APPLICABLE, nesting=Outcome.KNOWN)) == (
        f"{who} conforms to {SUITE_VERSION} ({count - 2} passed, 1 known: nesting, 1 n.a.: beams)"
    )
    assert verdict(whole(beams=Outcome.FAILED)) == f"{who} fails {SUITE_VERSION} ({count - 1} passed, 1 failed: beams)"


def test_many_requirements_that_fail_for_one_reason_are_not_listed() -> None:
    row = whole(**{each.replace("-", "_"): Outcome.NOT_APPLICABLE for each in Asked().requirements if each != "beams"})
    for result in row.results:
        result.reason = "" if result.id == "beams" else "the model has shapes and no weights"
    assert verdict(row) == (
        f"tiny:llama with hooks: conforms to {SUITE_VERSION} "
        f"(1 passed, {len(Asked().requirements) - 1} n.a.: the model has shapes and no weights)"
    )


def test_nothing_that_was_applicable_is_an_error() -> None:
    row = whole(**{each.replace("-", "_"): Outcome.NOT_APPLICABLE for each in Asked().requirements})
    assert verdict(row) == "tiny:llama with hooks: error: no requirement was applicable"
