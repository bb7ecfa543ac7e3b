"""How a failure reads: word for word."""

from __future__ import annotations

import re
import shutil
from typing import Any

import pytest

from conformance.selftest.desk import BAD, EXACT, FEW, FOUND, MODEL, RIGHT, Desk
from conformance.selftest.places import TRAINED

ONE = EXACT[0]
SENTENCE = "exact-delta: the steered residual equals the unsteered one plus scale times the vector"
MEASURED = r"max \|Δ\| \d\.\de[+-]\d\d at row 1, position \d+; allowed 2 ulp"
ROW_ZERO = "  likely: only batch row 0 is steered (output[0] on a layer that returns a tensor)"
NO_LAYERS = "no decoder layers found in Headless: no module hands a residual stream on to a sibling of the same width"


def failures(desk: Desk, *args: str) -> list[str]:
    """The lines under the headings of failures and errors."""
    result = desk.run(*args)
    assert result.ret == 1
    text = result.stdout.str()
    assert "Traceback" not in text
    body = text.partition("= FAILURES =")[2] or text.partition("= ERRORS =")[2]
    lines = body.partition("\n--")[0].splitlines()[1:]
    return [line for line in lines if line and not line.startswith(("_", "=", "FAILED ", "ERROR "))]


def test_a_violation_is_four_lines(desk: Desk) -> None:
    first, measured, *last = failures(desk, MODEL, BAD, ONE)
    assert first == SENTENCE
    assert re.fullmatch(rf"  FirstRowOnly on my_models:a, layer 0, scale 0\.5: {MEASURED}", measured)
    assert last == [
        ROW_ZERO,
        f'  rerun: pytest --steering-model=my_models:a --steering-adapter=my_steering:FirstRowOnly "{ONE}"',
    ]


def test_a_violation_without_place_and_cause_is_three(desk: Desk) -> None:
    typed = FOUND.replace(":a]", ":headless]")
    assert failures(desk, "--steering-model=my_models:headless", typed) == [
        "layers-found: the decoder layers are found by following the tensors from module to module to the logits",
        f"  my_models:headless: {NO_LAYERS}",
        f'  rerun: pytest --steering-model=my_models:headless "{typed}"',
    ]


def test_the_version_of_the_adapter_is_named(desk: Desk) -> None:
    said = failures(desk, MODEL, "--steering-adapter=my_steering:Old", ONE)
    assert said[1].startswith("  OldAdapter 0.3 on my_models:a, layer 0, scale 0.5: ")


def test_the_command_to_repeat_is_whole(desk: Desk) -> None:
    desk.ini("steering_adapter = my_steering:FirstRowOnly")
    options = ("--steering-device=cpu", "--steering-dtype=float32", "--steering-trust-remote-code")
    assert failures(desk, MODEL, *options, ONE)[-1] == (
        "  rerun: pytest --steering-model=my_models:a --steering-device=cpu --steering-dtype=float32 "
        f'--steering-trust-remote-code "{ONE}"'
    )


def test_the_command_to_repeat_repeats(desk: Desk) -> None:
    typed = ONE.replace(":a-", ":a-my_steering:FirstRowOnly-")
    rerun = failures(desk, MODEL, "--steering-model=my_models:b", RIGHT, BAD, typed)[-1]
    assert rerun == (
        f'  rerun: pytest --steering-model=my_models:a --steering-adapter=my_steering:FirstRowOnly "{ONE}"'
    )
    assert failures(desk, MODEL, BAD, ONE)[-1] == rerun


def test_a_shell_can_read_the_command(desk: Desk) -> None:
    shutil.copytree(TRAINED / "gpt_bigcode", desk.path / "$a b")
    rerun = failures(desk, "--steering-model=./$a b", BAD, "-k", "every_row and first")[-1]
    assert rerun == (
        "  rerun: pytest '--steering-model=./$a b' --steering-adapter=my_steering:FirstRowOnly "
        "'conformance/test_positions.py::test_every_row[./$a b-first]'"
    )


def test_an_adapter_that_raises_fails_with_the_cause_and_its_place(desk: Desk) -> None:
    lines = (desk.path / "my_steering.py").read_text().splitlines()
    place = f"my_steering.py:{1 + next(number for number, line in enumerate(lines) if 'nothing[0]' in line)}"
    assert failures(desk, MODEL, "--steering-adapter=my_steering:Raising", ONE) == [
        SENTENCE,
        f"  Raising on my_models:a: TypeError: 'NoneType' object is not subscriptable ({place})",
        f'  rerun: pytest --steering-model=my_models:a --steering-adapter=my_steering:Raising "{ONE}"',
    ]


def test_the_place_is_the_users_own_where_a_library_raises(desk: Desk) -> None:
    lines = (desk.path / "my_steering.py").read_text().splitlines()
    place = f"my_steering.py:{1 + next(number for number, line in enumerate(lines) if 'check(nothing)' in line)}"
    said = failures(desk, MODEL, "--steering-adapter=my_steering:Misusing", ONE)
    assert said[1].startswith("  Misusing on my_models:a: AttributeError: 'NoneType' object ")
    assert said[1].endswith(f" ({place})")


def test_the_traceback_is_there_for_who_asks(desk: Desk) -> None:
    result = desk.run(MODEL, "--steering-adapter=my_steering:Raising", "--full-trace", "--tb=long", ONE)
    result.stdout.fnmatch_lines([">*yield nothing[[]0[]]*", "E*TypeError: 'NoneType' object is not subscriptable"])


def test_a_failure_of_the_users_own_test_stays_as_it_is(desk: Desk) -> None:
    desk.write(test_mine="def test_mine(steering_model): assert steering_model.spec == 'another'")
    result = desk.run(MODEL, "test_mine.py", "--tb=short")
    result.stdout.fnmatch_lines(["E*assert 'my_models:a' == 'another'"])
    assert "rerun:" not in result.stdout.str()


@pytest.fixture(scope="module", params=[(), ("-n", "2")], ids=["alone", "-n2"])
def told(request: pytest.FixtureRequest, shared_desk: Desk) -> pytest.RunResult:
    """What is said of models and adapters that are not there, and of one whose hook never fires."""
    models = ("--steering-model=my_models:broken", "--steering-model=my_models:headless", MODEL)
    adapters = ("--steering-adapter=my_steering:Broken", "--steering-adapter=my_steering:Lazy")
    return shared_desk.run(*models, *adapters, *FEW, *request.param, "-rs", "--steering-report=report.json")


@pytest.mark.parametrize(
    ("sentence", "first", "times"),
    [
        (
            "my_models:broken: calling it raised ValueError: the weights end in the middle",
            FOUND.replace(":a]", ":broken]"),
            20,
        ),
        (
            f"my_models:headless: {NO_LAYERS}",
            EXACT[0].replace(":a-", ":headless-my_steering:Broken-"),
            19,
        ),
        (
            "my_models:a: adapter my_steering:Broken cannot be built: KeyError: 'h'",
            EXACT[0].replace(":a-", ":a-my_steering:Broken-"),
            9,
        ),
    ],
    ids=["model", "architecture", "adapter"],
)
def test_what_is_not_there_is_one_error_and_the_rest_is_left_out(
    told: pytest.RunResult, sentence: str, first: str, times: int
) -> None:
    text = told.stdout.str()
    assert text.count(f"\n{sentence}") == 1
    assert f"SKIPPED [{times}] {first.partition('::')[0]}:1: see {first}" in told.outlines
    assert (told.ret, told.parseoutcomes()["errors"]) == (1, 3)
    assert "Traceback" not in text


def test_one_cause_is_told_once(told: pytest.RunResult) -> None:
    text = told.stdout.str()
    sentence = "  likely: the vector never arrives: no hook fires, or what it returns is thrown away\n  rerun"
    assert text.count(f"\n{sentence}") == 1
    first = EXACT[0].replace(":a-", ":a-my_steering:Lazy-")
    assert text.count(f": see {first}") == 8
    assert f"every-row: see {first}" in text


def test_the_report_tells_errors_of_what_is_not_there(told: pytest.RunResult, shared_desk: Desk) -> None:
    models = {(each["spec"], each["adapter"]): each for each in shared_desk.report()["models"]}
    for spec, adapter in (("my_models:broken", "my_steering:Lazy"), ("my_models:a", "my_steering:Broken")):
        entries = [each for each in models[spec, adapter]["requirements"] if each["id"] != "layers-found"]
        assert {each["outcome"] for each in entries} == {"error"}
        assert len({each["reason"] for each in entries}) == 1


@pytest.mark.parametrize("args", [("-x",), ("--maxfail=1",), ("--steering-strict",)], ids=" ".join)
def test_the_run_fails_whatever_is_left_out(desk: Desk, args: tuple[str, ...]) -> None:
    result = desk.run("--steering-model=my_models:broken", *FEW, *args)
    assert result.ret != 0
    assert "from outside" not in result.stdout.str()


def test_a_failure_of_another_kind_is_told_each_time(desk: Desk) -> None:
    said = failures(desk, MODEL, BAD, "-k", "exact_delta")
    assert said.count(SENTENCE) == said.count(ROW_ZERO) == len(EXACT)


def test_no_traceback_is_made_that_nobody_sees(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    styles: list[object] = []
    getrepr: Any = pytest.ExceptionInfo.getrepr

    def noted(self: object, *args: Any, **options: Any) -> object:
        styles.append(options["style"])
        return getrepr(self, *args, **options)

    monkeypatch.setattr(pytest.ExceptionInfo, "getrepr", noted)
    desk.run("--steering-model=my_models:broken", MODEL, BAD, *FEW)
    assert set(styles) == {"no"}
