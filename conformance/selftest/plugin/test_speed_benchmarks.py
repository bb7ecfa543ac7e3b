"""The benchmarks of speed are stored, compared and drawn by pytest-benchmark, under keys that no place changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.selftest.desk import Desk

SPEED = (
    *("-p", "benchmark", "--steering-model=tiny:llama", "--steering-adapter=hooks"),
    *("--pyargs", "pytest_steering.fixtures.benchmarks", "--benchmark-storage=stored"),
)
EAGER = ("-k", "eager and (prefill or decode)")


def stored(desk: Desk) -> list[Path]:
    return sorted(desk.path.glob("stored/*/*.json"))


@pytest.mark.slow
def test_what_was_stored_is_compared_from_elsewhere_and_drawn(desk: Desk) -> None:
    result = desk.run_apart(*SPEED, *EAGER, "--benchmark-autosave")
    assert result.ret == 0, result.stdout.str()
    (path,) = stored(desk)
    benchmarks = json.loads(path.read_text())["benchmarks"]
    assert {each["fullname"] for each in benchmarks} == {
        f"pytest-steering::{kind}::{rows}x32{new}::eager::tiny:llama::hooks"
        for kind, new in (("prefill", ""), ("decode", "+8"))
        for rows in (1, 8)
    }
    for each in benchmarks:
        info = each["extra_info"]
        assert info["low"] <= info["ratio"] <= info["high"]
        assert len(info["raw_pairs"]) >= 5
        assert info["tokens_per_second"] > 0
    again = desk.run_apart(
        *SPEED, *EAGER, "--benchmark-compare", "--benchmark-compare-fail=mean:5000%", "--benchmark-histogram=drawn"
    )
    assert again.ret == 0, again.stdout.str()
    assert len(list(desk.path.glob("drawn*.svg"))) == 4
    other = json.loads(path.read_text())
    other["benchmarks"] = other["benchmarks"][1:]
    path.write_text(json.dumps(other))
    lost = desk.run_apart(*SPEED, *EAGER, "--benchmark-compare", "--benchmark-compare-fail=mean:5000%")
    assert lost.ret == 1
    lost.stdout.fnmatch_lines(["--benchmark-compare-fail knows nothing of pytest-steering::*"])


@pytest.mark.slow
def test_a_compiled_model_is_timed_beside_a_compiled_one(desk: Desk) -> None:
    result = desk.run_apart(
        *(each.replace("=hooks", "=compiled") for each in SPEED),
        *("-k", "prefill and 1 and (compiled or graph) and not 8", "-W", "ignore", "--benchmark-autosave"),
    )
    assert result.ret == 0, result.stdout.str()
    (benchmark,) = json.loads(stored(desk)[0].read_text())["benchmarks"]
    assert benchmark["fullname"] == "pytest-steering::prefill::1x32::compiled::tiny:llama::compiled"
