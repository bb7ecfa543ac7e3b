"""A process of its own that fails or never ends is told in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_steering.fixtures.checkpoint import write_checkpoint

from conformance.selftest.desk import MODEL, Desk
from pytest_steering.suite.fresh_process import FreshProcess


def test_what_it_printed() -> None:
    assert FreshProcess("timeit", "-n", "1", "-r", "1", "pass").output().startswith("1 loop")


def test_one_that_does_not_end_is_ended() -> None:
    process = FreshProcess("timeit", "-n", "1", "-s", "import time", "time.sleep(600)")
    with pytest.raises(RuntimeError, match=r"^it has not ended after 0\.5 s$"):
        process.output(seconds=0.5)
    assert process.ended


def test_one_that_fails_gives_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^exit status \d: .*No such file"):
        FreshProcess("json.tool", str(tmp_path / "nowhere.json")).output()


CANARIES = ("torch", "numpy", "json", "safetensors", "psutil", "transformers", "hypothesis", "pytest_steering", "runpy")


@pytest.mark.slow
def test_nothing_that_lies_in_a_checkpoints_directory_runs(desk: Desk) -> None:
    """The verdict is asked for in the directory itself, where files lie under the names of installed modules."""
    checkpoint = write_checkpoint(desk.path / "checkpoint")
    for name in CANARIES:
        (checkpoint / f"{name}.py").write_text(f"open({str(desk.path / f'{name}.ran')!r}, 'w').close()\n")
    (checkpoint / "mine.py").write_text("from pytest_steering.adapters.hooks import HooksAdapter as Mine\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-k", "fresh_process"]
    adapters = ("--steering-adapter=hooks", "--steering-adapter=mine:Mine")
    done = subprocess.run(
        [*command, "--steering-model=.", *adapters],
        cwd=checkpoint,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert list(desk.path.glob("*.ran")) == []


BY_HOOK = """
from pytest_steering.adapters.hooks import HooksAdapter


class Mine(HooksAdapter):
    name = "mine"


def pytest_steering_adapter():
    return {{"mine": {factory}}}
"""


@pytest.mark.parametrize(
    ("factory", "outcome"),
    [("Mine", "1 passed"), ("lambda *made: Mine(*made)", "no other process can import it")],
)
def test_an_adapter_from_a_hook_is_found_there_too(desk: Desk, factory: str, outcome: str) -> None:
    desk.write(conftest=BY_HOOK.format(factory=factory))
    result = desk.run_apart(MODEL, "--steering-adapter=mine", "-k", "fresh_process", "-rs")
    assert outcome in result.stdout.str(), result.stdout.str() + result.stderr.str()


def test_what_the_run_has_is_handed_on(desk: Desk) -> None:
    """Modules that pytest's own setting finds, and the default dtype."""
    (desk.path / "src").mkdir()
    (desk.path / "src" / "mine.py").write_text("from pytest_steering.adapters.hooks import HooksAdapter as Mine\n")
    desk.ini("pythonpath = src")
    desk.write(conftest="import torch\n\ntorch.set_default_dtype(torch.float64)\n")
    result = desk.run_apart("--steering-model=tiny:llama", "--steering-adapter=mine:Mine", "-k", "fresh_process")
    assert "1 passed" in result.stdout.str(), result.stdout.str() + result.stderr.str()


SETTINGS = """
import gc
import torch

torch.set_flush_denormal(True)
torch.use_deterministic_algorithms(True)
torch.autograd.set_detect_anomaly(True)
torch.inference_mode().__enter__()
gc.disable()
"""


@pytest.mark.slow
def test_what_a_project_sets_for_itself_is_no_fault_of_an_adapter(desk: Desk) -> None:
    desk.write(conftest=SETTINGS)
    result = desk.run_apart("--steering-model=tiny:llama", "-k", "not overhead and not all_pairs and not session")
    assert result.ret == 0, result.stdout.str()
    assert "conforms to" in result.stdout.str()
