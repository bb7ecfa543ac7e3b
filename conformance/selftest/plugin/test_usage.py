"""What cannot be meant is refused before anything runs: exit status 4, one sentence, no traceback."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import Desk

MODEL = "--steering-model=tiny:a"


def refused(desk: Desk, *args: str) -> str:
    """The one sentence with which a command is refused."""
    result = desk.run(*args)
    assert result.ret == 4, result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    said = [line for line in result.errlines if line]
    assert len(said) == 1, said
    assert desk.loaded() == []
    return said[0].removeprefix("ERROR: ")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--steering-model=lama", "-n2"], "'lama' is no model spec"),
        (["--steering-model=lama"], "'lama' is no model spec"),
        ([MODEL, "--steering-adapter=hoks"], "there is no steering adapter 'hoks'"),
        ([MODEL, "--steering-device=gpu"], "'gpu' is no device"),
        ([MODEL, "--steering-dtype=int7"], "'int7' is no dtype"),
        (
            [MODEL, "-m", "steering_requirement(id='exact-dleta')"],
            "-m: there is no requirement 'exact-dleta'; did you mean 'exact-delta'?",
        ),
        (
            [MODEL, "-m", 'slow or steering_requirement(since="1.0", id="same") and not fast'],
            "-m: there is no requirement 'same'; did you mean 'same-twice'?",
        ),
        ([MODEL, "--steering-report=x.html"], "--steering-report=x.html: reports are .json files"),
        ([MODEL, "--steering-report=x"], "--steering-report=x: reports are .json files"),
        ([MODEL, "--steering-report=no/x.json"], "--steering-report=no/x.json: there is no directory no"),
        ([MODEL, "--steering-report=dir.json"], "--steering-report=dir.json is a directory"),
        (
            [MODEL, "--steering-report=/proc/x.json"],
            "--steering-report=/proc/x.json cannot be written: No such file or directory",
        ),
        (
            ["--steering-report=x.json"],
            "--steering-report has nothing to report on: name a model with --steering-model=SPEC",
        ),
    ],
)
def test_options(desk: Desk, args: list[str], sentence: str) -> None:
    desk.pytester.mkdir("dir.json")
    assert refused(desk, *args) == sentence


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("steering_models = lama", "'lama' is no model spec"),
        ("steering_adapter = hoks", "there is no steering adapter 'hoks'"),
        (
            "steering_known_failures = exact-dleta: because",
            "steering_known_failures: there is no requirement 'exact-dleta'; did you mean 'exact-delta'?",
        ),
        (
            "steering_known_failures = exact-delta",
            "steering_known_failures: 'exact-delta' is not of the form \"requirement-id: reason\"",
        ),
        (
            "steering_known_failures = exact-delta:",
            "steering_known_failures: 'exact-delta:' is not of the form \"requirement-id: reason\"",
        ),
        (
            "steering_known_failures =\n  exact-delta: one\n  exact-delta: two",
            "steering_known_failures: 'exact-delta' is listed twice",
        ),
    ],
)
def test_settings(desk: Desk, line: str, sentence: str) -> None:
    desk.ini(line)
    extra = [] if line.startswith("steering_models") else [MODEL]
    assert refused(desk, *extra) == sentence


def test_help_is_given_whatever_the_settings_are(desk: Desk) -> None:
    desk.ini("steering_models = lama")
    assert desk.run("--help").ret == 0


def test_what_is_named_twice_is_meant_once(desk: Desk) -> None:
    desk.run(MODEL, MODEL, "--steering-adapter=hooks", "--steering-adapter=hooks").assert_outcomes(passed=6)
