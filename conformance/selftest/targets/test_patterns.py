"""``tiny:`` with a pattern: every type that fits, as if each had been typed."""

from __future__ import annotations

import pytest
import transformers

from conformance.selftest.desk import Desk, ids, no_xdist_and_two_workers
from conformance.selftest.test_plugin_usage import refused
from pytest_steering import SpecError, load_target
from pytest_steering.targets.spec import (
    IMAGE_TEXT,
    TEXT,
    check_spec,
    every_type,
    expanded,
    parse_spec,
    tiny_of,
    tiny_types,
)

BOTH = "llama4"
"""A type that is two models."""


def models(desk: Desk, *args: str) -> list[str]:
    """The models that a test runs on."""
    desk.write(test_mine="def test_mine(steering_model): pass")
    return [line.partition("[")[2].removesuffix("]") for line in ids(desk.run(*args, "--co", "-q", "test_mine.py"))]


@pytest.mark.parametrize(
    ("specs", "found"),
    [
        (["tiny:q*"], ["qa", "qb", "qsee"]),
        (["tiny:q?"], ["qa", "qb"]),
        (["tiny:x[12]"], ["x1", "x2"]),
        (["tiny:a*"], ["a", "a-b", "a@image-text-to-text"]),
        (["tiny:a*@text-generation"], ["a", "a-b"]),
        (["tiny:*@image-text-to-text"], ["see", "a@image-text-to-text", "qsee"]),
        (["tiny:qb", "tiny:q?", "tiny:qb"], ["qb", "qa"]),
        (["tiny:*"], ["d", "a", "a-b", "qa", "qb", "x1", "x2", "broken", "see", "a@image-text-to-text", "qsee"]),
    ],
    ids=" ".join,
)
def test_a_pattern_is_every_type_that_fits(desk: Desk, specs: list[str], found: list[str]) -> None:
    assert models(desk, *(f"--steering-model={spec}" for spec in specs)) == [f"tiny:{name}" for name in found]


def test_a_setting_and_a_marker_may_hold_one(desk: Desk) -> None:
    desk.ini("steering_models = tiny:x* tiny:qa")
    assert models(desk) == ["tiny:x1", "tiny:x2", "tiny:qa"]
    desk.write(
        test_marked="import pytest\n@pytest.mark.steering_model('tiny:qa', 'tiny:q?')\ndef test_mine(): pass",
    )
    result = desk.run("test_marked.py", "-n", "2")
    result.assert_outcomes(passed=2)
    assert desk.loaded() == ["tiny:qa", "tiny:qb"]


@no_xdist_and_two_workers
def test_each_model_is_loaded_once(desk: Desk, workers: tuple[str, ...]) -> None:
    result = desk.run("--steering-model=tiny:a*", "--steering-model=tiny:q*", *workers, "--steering-report=report.json")
    result.assert_outcomes(passed=6 * 6)
    specs = ["tiny:a", "tiny:a-b", "tiny:a@image-text-to-text", "tiny:qa", "tiny:qb", "tiny:qsee"]
    assert desk.loaded() == specs
    assert [model["spec"] for model in desk.report()["models"]] == specs


def test_a_task_is_part_of_the_id(desk: Desk) -> None:
    spec = "tiny:a@image-text-to-text"
    both = (f"--steering-model={spec}", "--steering-model=tiny:a")
    for selection in (f"conformance/test_alpha.py::test_beams[{spec}]", "test_beams and image-text-to-text"):
        args = (selection,) if "::" in selection else ("-k", selection)
        assert ids(desk.run(*both, *args, "--co", "-q")) == [f"conformance/test_alpha.py::test_beams[{spec}]"]
    failing = desk.run(*both, "--steering-adapter=bad", "-k", "same_twice")
    failing.assert_outcomes(failed=2, deselected=10)
    failing.stdout.fnmatch_lines(
        [
            "  rerun: pytest --steering-model=tiny:a@image-text-to-text --steering-adapter=bad "
            '"conformance/test_beta_two.py::test_same_twice[[]tiny:a@image-text-to-text[]]"'
        ]
    )
    desk.run(*both, "--steering-adapter=bad", "--lf", "-n", "2").assert_outcomes(failed=2)


def test_the_head_of_the_run_is_short(desk: Desk) -> None:
    few = desk.run("--steering-model=tiny:q*", "--co")
    few.stdout.fnmatch_lines(["steering: tiny:qa, tiny:qb, tiny:qsee with hooks"])
    many = desk.run("--steering-model=tiny:qb", "--steering-model=tiny:*", "--co")
    many.stdout.fnmatch_lines(["steering: tiny:qb, tiny:* (11 models) with hooks"])


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            "tiny:brokn*",
            "tiny:brokn*: no language model type of the installed transformers fits; did you mean tiny:broken?",
        ),
        ("tiny:9*", "tiny:9*: no language model type of the installed transformers fits"),
        ("tiny:*@vision", "tiny:*@vision: there is no task 'vision'"),
    ],
)
def test_a_pattern_that_nothing_fits_is_refused(desk: Desk, spec: str, sentence: str) -> None:
    assert refused(desk, f"--steering-model={spec}", "-n2") == sentence
    desk.ini(f"steering_models = {spec}")
    assert refused(desk) == sentence


def test_a_marker_that_nothing_fits_is_refused(desk: Desk) -> None:
    desk.write(test_mine="import pytest\n@pytest.mark.steering_model('tiny:9*')\ndef test_mine(): pass")
    result = desk.run("test_mine.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["steering_model marker: tiny:9[*]: no language model type * fits"])
    assert "Traceback" not in result.stdout.str()


def test_help_is_given_whatever_the_pattern(desk: Desk) -> None:
    desk.ini("steering_models = tiny:9*")
    assert desk.run("--help").ret == 0


def test_every_type_of_transformers_has_one_name() -> None:
    texts, images = tiny_types(TEXT), tiny_types(IMAGE_TEXT)
    every = expanded(["tiny:*"])
    assert every == tuple(every_type())
    assert len(every) == len(texts) + len(images)
    assert every[: len(texts)] == tuple(f"tiny:{name}" for name in texts)
    assert [tiny_of(parse_spec(spec)) for spec in every] == list(every_type().values())
    for spec in every:
        check_spec(parse_spec(spec))


def test_a_type_may_be_two_models() -> None:
    classes = {
        spec: type(load_target(spec).model).__name__
        for spec in (f"tiny:{BOTH}", f"tiny:{BOTH}@text-generation", f"tiny:{BOTH}@image-text-to-text")
    }
    assert list(classes.values()) == [
        "Llama4ForCausalLM",
        "Llama4ForCausalLM",
        "Llama4ForConditionalGeneration",
    ]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("tiny:llama@vision", "there is no task 'vision'; give text-generation or image-text-to-text"),
        ("tiny:llama@", "there is no task ''; give text-generation or image-text-to-text"),
        (
            "tiny:gemma2@image-text-to-text",
            f"transformers {transformers.__version__} has no image-text-to-text model type 'gemma2'; did you mean ",
        ),
    ],
)
def test_what_a_task_cannot_be(spec: str, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_spec(parse_spec(spec))
    assert str(caught.value).startswith(f"{spec}: {sentence}")
