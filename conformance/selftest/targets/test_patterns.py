"""``tiny:`` with a pattern: every type that fits, as if each had been typed."""

from __future__ import annotations

import pytest
import transformers

from conformance.selftest.desk import BAD, FEW, OF_FEW, RIGHT, Desk, ids, refused
from pytest_steering import SpecError, load_target
from pytest_steering.targets.patterns import every_type, expanded
from pytest_steering.targets.spec import IMAGE_TEXT, TEXT, check_spec, parse_spec, tiny_of, tiny_types

BOTH = "llama4"
"""A type that is two models."""


def models(desk: Desk, *args: str) -> list[str]:
    """The models that a test runs on."""
    desk.write(test_mine="def test_mine(steering_model): pass")
    return [line.partition("[")[2].removesuffix("]") for line in ids(desk.run(*args, "--co", "-q", "test_mine.py"))]


@pytest.mark.parametrize(
    ("specs", "found"),
    [
        (["tiny:llam*"], ["llama", "llama4", "llama4_text", "llama4@image-text-to-text"]),
        (["tiny:llama?"], ["llama4", "llama4@image-text-to-text"]),
        (["tiny:gpt[2j]"], ["gpt2", "gptj"]),
        (["tiny:gpt_neo*"], ["gpt_neo", "gpt_neox", "gpt_neox_japanese"]),
        (["tiny:llam*@text-generation"], ["llama", "llama4", "llama4_text"]),
        (["tiny:llam*@image-text-to-text"], ["llama4@image-text-to-text"]),
        (["tiny:gptj", "tiny:gpt[2j]", "tiny:gptj"], ["gptj", "gpt2"]),
    ],
    ids=" ".join,
)
def test_a_pattern_is_every_type_that_fits(desk: Desk, specs: list[str], found: list[str]) -> None:
    named = [f"tiny:{name}" for name in found]
    assert models(desk, *(f"--steering-model={spec}" for spec in specs)) == named
    assert [spec.text for spec in expanded(map(parse_spec, specs))] == named


def test_every_type_is_a_model_of_the_run(desk: Desk) -> None:
    assert models(desk, "--steering-model=tiny:*") == list(every_type())


def test_a_setting_and_a_marker_may_hold_one(desk: Desk) -> None:
    desk.ini("steering_models = tiny:gpt_neo? tiny:gpt2")
    assert models(desk) == ["tiny:gpt_neox", "tiny:gpt2"]
    desk.write(
        test_marked="import pytest\n@pytest.mark.steering_model('tiny:gpt2', 'tiny:gpt[2j]')\ndef test_mine(): pass",
    )
    assert ids(desk.run("test_marked.py", "--co", "-q")) == [
        "test_marked.py::test_mine[tiny:gpt2]",
        "test_marked.py::test_mine[tiny:gptj]",
    ]


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "2")], ids=["no xdist", "-n2"])
def test_each_model_that_fits_is_judged(desk: Desk, workers: tuple[str, ...]) -> None:
    result = desk.run("--steering-model=tiny:gpt[2j]", *workers, RIGHT, *FEW, "--steering-report=report.json")
    assert result.parseoutcomes()["passed"] == 2 * len(OF_FEW)
    assert [model["spec"] for model in desk.report()["models"]] == ["tiny:gpt2", "tiny:gptj"]


def test_a_task_is_part_of_the_id(desk: Desk) -> None:
    spec = f"tiny:{BOTH}@image-text-to-text"
    both = (f"--steering-model={spec}", f"--steering-model=tiny:{BOTH}")
    found = f"conformance/test_reproducibility.py::test_same_twice[{spec}]"
    for selection in ([found], ["-k", "test_same_twice and image-text-to-text"]):
        assert ids(desk.run(*both, *selection, "--co", "-q")) == [found]
    failing = desk.run(*both, BAD, "-k", "every_row and first")
    assert failing.parseoutcomes()["failed"] == 2
    row = found.replace("reproducibility.py::test_same_twice", "positions.py::test_every_row").removesuffix("]")
    assert f'  rerun: pytest --steering-model={spec} {BAD} "{row}-first]"' in failing.outlines
    assert desk.run(*both, BAD, "--lf").parseoutcomes()["failed"] == 2


def test_the_head_of_the_run_is_short(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(): pass")
    few = desk.run("--steering-model=tiny:gpt_neo*", "--co", "test_mine.py")
    assert heads(few) == ["steering: tiny:gpt_neo, tiny:gpt_neox, tiny:gpt_neox_japanese with hooks"]
    many = desk.run("--steering-model=tiny:gpt2", "--steering-model=tiny:*", "--co", "test_mine.py")
    assert heads(many) == [f"steering: tiny:gpt2, tiny:* ({len(every_type())} models) with hooks"]


def heads(result: pytest.RunResult) -> list[str]:
    """The models and adapters that the heads of a run name."""
    return [line.partition(" for tests ")[0] for line in result.outlines if line.startswith("steering: ")]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            "tiny:gpt_bigcod?s",
            "tiny:gpt_bigcod?s: no language model type of the installed transformers fits; "
            "did you mean tiny:gpt_bigcode*",
        ),
        ("tiny:9*", "tiny:9[*]: no language model type of the installed transformers fits"),
        ("tiny:*@vision", "tiny:*@vision: there is no task 'vision'; give text-generation or image-text-to-text"),
    ],
)
def test_a_pattern_that_nothing_fits_is_refused(desk: Desk, spec: str, sentence: str) -> None:
    refused(desk, f"--steering-model={spec}", "-n2", sentence=sentence.replace("[*]", "*"))
    desk.ini(f"steering_models = {spec}")
    refused(desk, sentence=sentence.replace("[*]", "*"))


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
    every = expanded([parse_spec("tiny:*")])
    assert [spec.text for spec in every] == list(every_type())
    assert len(every) == len(texts) + len(images)
    assert [spec.text for spec in every[: len(texts)]] == [f"tiny:{name}" for name in texts]
    assert [tiny_of(spec) for spec in every] == list(every_type().values())
    for spec in every:
        check_spec(spec)


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
