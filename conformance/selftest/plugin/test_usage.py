"""What cannot be meant is refused before anything runs: exit status 4, one sentence, no traceback."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import FEW, MODEL, OF_FEW, RIGHT, Desk, refused

KINDS = "reports are .json, .html or .badge.json files"


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--steering-model=lama!", "-n2"], "'lama!' is neither a directory nor a Hub id (name or owner/name): give *"),
        (["--steering-model=lama!"], "'lama!' is neither a directory nor a Hub id (name or owner/name): give *"),
        (["--steering-model=my_models:aa"], "my_models:aa: my_models has no attribute 'aa'; did you mean *"),
        ([MODEL, "--steering-adapter=hoks"], "there is no steering adapter 'hoks': did you mean 'hooks'?"),
        (
            [MODEL, "--steering-adapter=my_steering:Wright"],
            "steering adapter 'my_steering:Wright': module 'my_steering' has no attribute 'Wright'",
        ),
        (["--steering-adapter=hoks"], "there is no steering adapter 'hoks': did you mean 'hooks'?"),
        ([MODEL, "--steering-fuzz=-1"], "--steering-fuzz=-1 is no number of minutes: give one that is 0 or more"),
        ([MODEL, "--steering-fuzz=nan"], "--steering-fuzz=nan is no number of minutes: give one that is 0 or more"),
        ([MODEL, "--steering-fuzz=inf"], "--steering-fuzz=inf is no number of minutes: give one that is 0 or more"),
        ([MODEL, "--steering-device=gpu"], "*'gpu'*"),
        ([MODEL, "--steering-dtype=int7"], "*'int7'*"),
        (["--steering-device=gpu"], "*'gpu'*"),
        (["--steering-dtype=int7"], "*'int7'*"),
        (
            [MODEL, "-m", "steering_requirement(id='exact-dleta')"],
            "-m: there is no requirement 'exact-dleta'; did you mean 'exact-delta'?",
        ),
        (
            ["-m", "steering_requirement(id='exact-dleta')"],
            "-m: there is no requirement 'exact-dleta'; did you mean 'exact-delta'?",
        ),
        (
            [MODEL, "-m", 'slow or steering_requirement(since="1.0", id="same-twic") and not fast'],
            "-m: there is no requirement 'same-twic'; did you mean 'same-twice'?",
        ),
        ([MODEL, "--steering-report=x.htm"], f"--steering-report=x.htm: {KINDS}"),
        ([MODEL, "--steering-report=x"], f"--steering-report=x: {KINDS}"),
        ([MODEL, "--steering-report=x.txt"], f"--steering-report=x.txt: {KINDS}"),
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
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options(desk: Desk, args: list[str], sentence: str) -> None:
    (desk.path / "dir.json").mkdir()
    refused(desk, *args, sentence=sentence)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("steering_models = lama!", "'lama!' is neither a directory nor a Hub id *"),
        ("steering_adapter = hoks", "there is no steering adapter 'hoks': did you mean 'hooks'?"),
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
    refused(desk, *extra, sentence=sentence)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("steering_model = lama!", "there is no setting steering_model: did you mean steering_models?"),
        ("steering_adapters = hooks", "there is no setting steering_adapters: did you mean steering_adapter?"),
        ("steering_known = exact-delta: because", "there is no setting steering_known: *"),
        (
            "steering_zzz = 1",
            "there is no setting steering_zzz: known are steering_models, steering_adapter, steering_engines, "
            "steering_device_map, steering_known_failures, steering_profile, steering_suite, steering_timeout",
        ),
    ],
)
@pytest.mark.parametrize("models", [(), (MODEL,), (MODEL, "-n1")], ids=" ".join)
def test_settings_that_are_none(desk: Desk, line: str, sentence: str, models: tuple[str, ...]) -> None:
    desk.ini(line)
    refused(desk, *models, sentence=sentence)


def test_help_is_given_whatever_the_settings_are(desk: Desk) -> None:
    desk.ini("steering_models = lama!")
    assert desk.run("--help").ret == 0
    assert desk.run("--version").ret == 0


def test_what_is_named_twice_is_meant_once(desk: Desk) -> None:
    outcomes = desk.run(MODEL, MODEL, RIGHT, RIGHT, *FEW).parseoutcomes()
    assert outcomes["passed"] == len(OF_FEW)
    assert desk.loaded() == ["a"]
