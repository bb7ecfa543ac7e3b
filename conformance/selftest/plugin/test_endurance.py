"""What lasts: verdicts that are killed, run beside each other, run out of room, or come one after the other."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakSet

import psutil
import pytest
import torch

from conformance.selftest.desk import BAD, FEW, MODEL, OTHERS, RIGHT, Desk
from conformance.selftest.forking.interpreter import interpreter
from pytest_steering.oracle.process_settings import process_settings

KILLED = int(os.environ.get("KILLS", "6"))
"""Moments at which a verdict is killed; ``KILLS=50`` takes long."""
VERDICTS = int(os.environ.get("VERDICTS", "40"))
"""Verdicts in one process; 200 take minutes."""

KEPT = ("--steering-report=r.json", "--steering-report=r.html", "--steering-baseline=b.json")
UPDATED = (*KEPT, "--steering-baseline-update")


def begun(desk: Desk, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", *OTHERS, MODEL, RIGHT, *FEW, *options]
    # A group of its own: what it has started is killed with it.
    return subprocess.Popen(
        command, cwd=desk.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def whole(path: Path) -> None:
    """A file is there as it was written, or not at all."""
    if path.suffix == ".json" and path.exists():
        assert json.loads(path.read_text())
    elif path.exists():
        assert path.read_text().rstrip().endswith("</html>")


@pytest.mark.slow
def test_a_killed_verdict_leaves_nothing_torn_and_runs_again(desk: Desk) -> None:
    started = time.perf_counter()
    assert begun(desk, *UPDATED).wait() == 0
    takes, first = time.perf_counter() - started, (desk.path / "b.json").read_bytes()
    moments = random.Random(0)
    for number in range(KILLED):
        process = begun(desk, *UPDATED)
        # Files are written at the end: half of the moments lie in its last tenth.
        time.sleep(takes * (moments.uniform(0.9, 1.02) if number % 2 else moments.uniform(0, 0.9)))
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()
        for name in ("r.json", "r.html", "b.json"):
            whole(desk.path / name)
        assert (desk.path / "b.json").read_bytes() == first
    assert begun(desk, *KEPT).wait() == 0
    assert desk.report("r.json")["models"][0]["verdict"] == "conforms"


@pytest.mark.slow
def test_two_verdicts_in_one_directory_at_once(desk: Desk) -> None:
    """Where both write a baseline, the later one may be told that somebody else has written it."""
    both = [begun(desk, *UPDATED, *workers) for workers in ((), ("-n1",))]
    assert sorted(each.wait() for each in both) in ([0, 0], [0, 1])
    for name in ("r.json", "r.html", "b.json"):
        whole(desk.path / name)
    assert begun(desk, *KEPT).wait() == 0
    assert [each.name for each in desk.path.glob(".*.tmp")] == []


@pytest.mark.slow
def test_a_process_judges_again_and_again(desk: Desk) -> None:
    """Memory, files, threads, models and settings are after the last verdict what they were after the tenth."""

    def modules() -> Iterator[torch.nn.Module]:
        return (each for each in gc.get_objects() if issubclass(type(each), torch.nn.Module))

    # What other tests have left in this process may go meanwhile.
    gc.collect()
    others = WeakSet(modules())

    def left() -> dict[str, object]:
        gc.collect()
        return {
            "files": psutil.Process().num_fds(),
            "threads": threading.active_count(),
            "modules": sum(each not in others for each in modules()),
            "settings": {name: value for name, value in process_settings().items() if "random" not in name},
            "exits": (os._exit, os.execv),
        }

    after: dict[str, object] = {}
    memory = 0
    for number in range(1, VERDICTS + 1):
        result = desk.run(MODEL, RIGHT, *FEW, "-p", "no:cacheprovider", "--steering-report=r.json")
        assert result.ret == 0, result.stdout.str()
        if number == 10:
            after, memory = left(), psutil.Process().memory_info().rss
    assert left() == after
    assert psutil.Process().memory_info().rss - memory < 1e6 * (VERDICTS - 10), "bytes that stay for each verdict"


HUNGRY = """
import torch
from my_models import a, b


def at_once():
    return torch.nn.Linear(1 << 22, 1 << 22)


class Eats(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = a()
        self.config = getattr(self.inner, "config", None)

    def forward(self, *args, **kwargs):
        torch.empty(1 << 44)
        return self.inner(*args, **kwargs)


def when_called():
    return Eats()
"""


@pytest.mark.parametrize("hungry", ["at_once", "when_called"])
@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=" ".join)
def test_a_model_that_takes_too_much_leaves_the_others_to_be_judged(
    desk: Desk, hungry: str, workers: tuple[str, ...]
) -> None:
    desk.write(hungry=HUNGRY)
    models = [f"--steering-model={spec}" for spec in (f"hungry:{hungry}", "my_models:a", "my_models:b")]
    result = desk.run(*models, RIGHT, *FEW, *workers, "--steering-report=r.json")
    assert result.ret == 1
    judged = {row["spec"]: row for row in desk.report("r.json")["models"]}
    assert judged["my_models:a"]["verdict"] == judged["my_models:b"]["verdict"] == "conforms"
    too_much = judged[f"hungry:{hungry}"]
    assert too_much["verdict"] == "error"
    (said,) = {entry["reason"] for entry in too_much["requirements"] if entry["outcome"] == "error"}
    assert "memory" in said


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=" ".join)
def test_a_full_disk_is_one_sentence_and_a_failure(desk: Desk, workers: tuple[str, ...]) -> None:
    """No file may grow beyond a few hundred bytes, as where there is no room."""
    program = (
        "import resource, sys, pytest; resource.setrlimit(resource.RLIMIT_FSIZE, (700, resource.RLIM_INFINITY)); "
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    options = [*OTHERS, "-p", "no:cacheprovider", MODEL, RIGHT, *FEW, *workers, *KEPT[:2]]
    done = subprocess.run(
        [interpreter(), "-B", "-c", program, *options], cwd=desk.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for name in ("r.json", "r.html"):
        assert f"--steering-report={name} cannot be written: File too large" in done.stdout
        assert not (desk.path / name).exists()
    assert "conforms" in done.stdout


@pytest.fixture
def small_disk(desk: Desk) -> Iterator[Path]:
    """A disk of 64 kB in the project, on which a small file lies."""
    place = desk.path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def filled(disk: Path) -> None:
    """No room is left on it."""
    with contextlib.suppress(OSError), (disk / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))


@pytest.mark.skipif(sys.platform != "linux", reason="a tmpfs is mounted")
def test_a_disk_that_is_full_keeps_what_lies_on_it(desk: Desk, small_disk: Path) -> None:
    before = {"r.json": "{}", "r.html": "<html></html>", "r.badge.json": "{}"}
    for name, text in before.items():
        (small_disk / name).write_text(text)
    updated = ("--steering-baseline=disk/b.json", "--steering-baseline-update")
    assert desk.run(MODEL, RIGHT, "-k", "layers_found", *updated).ret == 0
    before["b.json"] = (small_disk / "b.json").read_text()
    filled(small_disk)
    kept = [f"--steering-report=disk/{name}" for name in before if name != "b.json"]
    result = desk.run(MODEL, BAD, *FEW, *kept, "--steering-bundle=disk/bundles")
    text = result.stdout.str() + result.stderr.str()
    assert result.ret == 1, text
    assert "Traceback" not in text
    for name, held in before.items():
        assert (small_disk / name).read_text() == held
        assert name == "b.json" or f"--steering-report=disk/{name} cannot be written: No space left on device" in text
    assert "bundle: cannot be written to disk/bundles: No space left on device" in text
    result = desk.run(MODEL, RIGHT, *FEW, *updated)
    assert result.ret == 1, result.stdout.str()
    assert "No space left on device" in result.stdout.str() + result.stderr.str()
    assert (small_disk / "b.json").read_text() == before["b.json"]
    assert [each.name for each in small_disk.glob(".*.tmp")] == []


def test_a_terminal_without_room_is_no_success(desk: Desk) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "pytest", *OTHERS, MODEL, RIGHT, *FEW, "--steering-report=r.json"]
        done = subprocess.run(command, cwd=desk.path, stdout=full, stderr=full, check=False)
    assert done.returncode != 0
    whole(desk.path / "r.json")
