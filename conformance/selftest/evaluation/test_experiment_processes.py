"""An experiment in processes of its own: killed, interrupted, and run twice."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conformance.selftest.evaluation.small_study import finished_study, first_difference, fresh_experiment

KILLED = int(os.environ.get("KILLS", "6"))
"""Moments at which an experiment is killed."""


@pytest.mark.slow
def test_two_fresh_processes_find_the_same_numbers(tmp_path: Path) -> None:
    """To the last bit, and those that this process finds; where they differ, the first difference is named."""
    data, whole, _ = finished_study()
    started = {name: fresh_experiment(data, tmp_path / name, executable=sys.executable) for name in ("one", "other")}
    for process in started.values():
        assert process.communicate(timeout=300)[1] == ""
    one, other, here = (
        json.loads((directory / "results.json").read_text())
        for directory in (tmp_path / "one", tmp_path / "other", whole)
    )
    assert first_difference(one, other) == ""
    assert first_difference(one, here) == ""


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ({"a": [1, {"b": 2.0}]}, {"a": [1, {"b": 2.0}]}, ""),
        ({"a": [1, {"b": 0.3}]}, {"a": [1, {"b": 0.1 + 0.2}]}, "a.1.b: 0.3 and 0.30000000000000004"),
        ({"a": [1]}, {"a": [1, 2]}, "a: [1] and [1, 2]"),
        ({"a": 1}, {"b": 1}, ': {"a": 1} and {"b": 1}'),
        ({"a": None}, {"a": 0}, "a: null and 0"),
    ],
)
def test_first_difference_is_named(one: object, other: object, found: str) -> None:
    assert first_difference(one, other) == found


def parts_in(out: Path) -> list[Path]:
    return sorted((out / "parts").rglob("*.json"))


def stopped_after(process: subprocess.Popen[str], out: Path, parts: int, sent: signal.Signals) -> tuple[int, str]:
    while len(parts_in(out)) < parts and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(sent)
    _, complaints = process.communicate(timeout=120)
    return process.returncode, complaints


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 4, 9])
def test_killed_process_goes_on_to_the_same_results(tmp_path: Path, parts: int) -> None:
    """SIGKILL in the middle, then the same command: the results of a process that was never killed."""
    data, whole, _ = finished_study()
    status, _ = stopped_after(fresh_experiment(data, tmp_path), tmp_path, parts, signal.SIGKILL)
    assert status == -signal.SIGKILL
    kept = {path: path.read_bytes() for path in parts_in(tmp_path)}
    assert parts <= len(kept) < len(parts_in(whole))
    process = fresh_experiment(data, tmp_path)
    printed, complaints = process.communicate(timeout=300)
    assert (process.returncode, complaints) == (0, "")
    assert "Holm p" in printed
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(parts_in(tmp_path)) == len(parts_in(whole))
    assert (tmp_path / "results.json").read_bytes() == (whole / "results.json").read_bytes()


@pytest.mark.slow
def test_ctrl_c_ends_without_a_traceback(tmp_path: Path) -> None:
    data, whole, _ = finished_study()
    status, complaints = stopped_after(fresh_experiment(data, tmp_path), tmp_path, 3, signal.SIGINT)
    assert status == 130
    kept = len(parts_in(tmp_path))
    assert complaints == (
        f"stopped: {kept} of {len(parts_in(whole))} parts are finished and kept in {tmp_path}; "
        "run the same command again to go on\n"
    )


def ended(process: subprocess.Popen[str]) -> None:
    """It has come to its end; what packages warn of when they are imported does not matter."""
    _, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_torn(tmp_path: Path) -> None:
    """``KILLS=50`` takes long. Each time the same command goes on, or begins, until one is left to end."""
    data, whole, _ = finished_study()
    started = time.perf_counter()
    ended(fresh_experiment(data, tmp_path / "measured"))
    takes, moments, number = time.perf_counter() - started, random.Random(0), 0
    for number in range(KILLED):
        out = tmp_path / str(number // 5)
        process = fresh_experiment(data, out)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(takes * moments.uniform(0, 1))
        process.kill()
        process.communicate()
        for path in [*parts_in(out), *out.glob("*.json")]:
            assert json.loads(path.read_text()), path
        if number % 5 == 4 or number == KILLED - 1:
            ended(fresh_experiment(data, out))
            assert (out / "results.json").read_bytes() == (whole / "results.json").read_bytes()
            assert not list(out.rglob(".*.tmp"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a tmpfs is mounted")
def test_a_full_disk_is_one_sentence_and_what_is_finished_is_kept(tmp_path: Path) -> None:
    data, whole, _ = finished_study()
    out = tmp_path / "disk"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(out)]
    if (said := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no disk can be mounted here: {said.stderr.strip()}")
    try:
        process = fresh_experiment(data, out)
        _, complaints = process.communicate(timeout=300)
        assert process.returncode not in (0, None)
        assert "No space left on device" in complaints.splitlines()[-1]
        assert "Traceback" not in complaints
        kept = {path: path.read_bytes() for path in parts_in(out)}
        assert all(json.loads(text) for text in kept.values())
        subprocess.run(["mount", "-o", "remount,size=16m", str(out)], check=True)
        ended(fresh_experiment(data, out))
        assert {path: path.read_bytes() for path in kept} == kept
        assert (out / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    finally:
        subprocess.run(["umount", str(out)], check=True)
