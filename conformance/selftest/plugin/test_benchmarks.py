"""``--benchmark-compare-fail`` compares what it was asked to, or the run fails and says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.selftest.desk import MODEL, RIGHT, Desk

TIMED = ("-p", "benchmark", MODEL, RIGHT, "-k", "forward_overhead", "--benchmark-storage=stored")
FAILING = "--benchmark-compare-fail=mean:5000%"


def stored(desk: Desk) -> Path:
    (found,) = desk.path.glob("stored/*/*.json")
    return found


def test_an_unchanged_benchmark_is_compared(desk: Desk) -> None:
    assert desk.run(*TIMED, "--benchmark-autosave").ret == 0
    (benchmark,) = json.loads(stored(desk).read_text())["benchmarks"]
    assert benchmark["fullname"] == "pytest-steering::forward::8x128::my_models:a::Right"
    info = benchmark["extra_info"]
    assert info["work"] == "8x128"
    assert len(info["raw_pairs"]) >= 5
    assert info["low"] <= info["ratio"] <= info["high"]
    result = desk.run(*TIMED, "--benchmark-compare", FAILING)
    assert result.ret == 0


@pytest.mark.parametrize(
    ("more", "renamed", "sentence"),
    [
        ((), False, "compares nothing: there is no stored run"),
        (("--benchmark-compare",), True, "knows nothing of pytest-steering::forward::8x128::my_models:a::Right"),
        (("--benchmark-disable",), False, "compares nothing: benchmarks are switched off"),
    ],
)
def test_what_is_not_compared_fails_and_the_verdict_is_printed(
    desk: Desk, more: tuple[str, ...], renamed: bool, sentence: str
) -> None:
    if renamed:
        desk.run(*TIMED, "--benchmark-autosave")
        stored(desk).write_text(stored(desk).read_text().replace("pytest-steering::forward", "renamed"))
    result = desk.run(*TIMED, *more, FAILING)
    assert result.ret in (1, 4)  # pytest-benchmark may call it a usage error itself
    result.stdout.fnmatch_lines(["my_models:a with Right: conforms*", f"--benchmark-compare-fail {sentence}*"])


def test_a_run_of_another_machine_is_no_measure(desk: Desk) -> None:
    desk.run(*TIMED, "--benchmark-autosave")
    document = json.loads(stored(desk).read_text())
    document["machine_info"]["node"] = "the same machine under another name"
    document["machine_info"]["cpu"]["hz_actual"] = [1, 0]
    stored(desk).write_text(json.dumps(document))
    assert desk.run_apart(*TIMED, "--benchmark-compare", FAILING).ret == 0
    document["machine_info"]["cpu"]["brand_raw"] = "Other CPU"
    stored(desk).write_text(json.dumps(document))
    result = desk.run_apart(*TIMED, "--benchmark-compare", FAILING)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "my_models:a with Right: conforms*",
            "--benchmark-compare-fail compares with a run of another machine (cpu brand_raw: Other CPU, here *",
        ]
    )
    assert desk.run_apart(*TIMED, "--benchmark-compare").ret == 0


def test_a_regression_fails_and_the_verdict_is_printed(desk: Desk) -> None:
    desk.run(*TIMED, "--benchmark-autosave")
    document = json.loads(stored(desk).read_text())
    document["benchmarks"][0]["stats"]["mean"] = 1e-9
    stored(desk).write_text(json.dumps(document))
    result = desk.run_apart(*TIMED, "--benchmark-compare", "--benchmark-compare-fail=mean:0.0000001")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["my_models:a with Right: conforms*"])
