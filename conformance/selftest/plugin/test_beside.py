"""Pytest is started in the directory of a checkpoint, where files lie that Python or pytest would run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_steering.fixtures.checkpoint import write_checkpoint

from conformance.selftest.desk import MODEL, Desk, refused

THEIRS = ("torch", "numpy", "safetensors", "psutil", "transformers", "tokenizers", "nnsight", "accelerate")
"""What is imported when a model is loaded: later than this plugin."""
SOONER = ("json", "execnet", "xdist", "pytest_steering", "hypothesis", "subprocess", "sitecustomize", "usercustomize")
"""What may be imported before, where Python itself looks there first."""


@pytest.fixture
def checkpoint(desk: Desk) -> Path:
    return write_checkpoint(desk.path / "checkpoint")


def planted(checkpoint: Path, *names: str) -> None:
    for name in names:
        (checkpoint / f"{name}.py").write_text(f"open({str(checkpoint.parent / f'{name}.ran')!r}, 'w').close()\n")


@pytest.mark.parametrize(
    ("name", "text", "does"),
    [
        ("conftest.py", "", "run conftest.py"),
        ("tests/conftest.py", "", "run conftest.py"),
        ("pytest.ini", "[pytest]\n", "obey pytest.ini"),
        ("pyproject.toml", "[tool.pytest.ini_options]\n", "obey pyproject.toml"),
    ],
)
def test_what_pytest_reads_there_is_refused(desk: Desk, checkpoint: Path, name: str, text: str, does: str) -> None:
    (checkpoint / name).parent.mkdir(exist_ok=True)
    (checkpoint / name).write_text(text or f"open({str(desk.path / 'conftest.ran')!r}, 'w').close()\n")
    for spec in (".", "config:.", str(checkpoint)):
        result = desk.run(f"--steering-model={spec}", at=checkpoint)
        assert result.ret == 4
        assert [line for line in result.errlines if line] == [
            f"ERROR: {spec}: pytest would {does}, which lies in the checkpoint; start pytest in another directory, "
            "or pass --steering-trust-remote-code"
        ]
    assert list(desk.path.glob("*.ran")) == []
    assert desk.run("--steering-model=.", "--steering-trust-remote-code", "--co", at=checkpoint).ret == 0


def test_a_project_that_holds_a_checkpoint_is_obeyed(desk: Desk, checkpoint: Path) -> None:
    desk.write(conftest="open('conftest.ran', 'w').close()")
    assert desk.run("--steering-model=checkpoint", "--co").ret == 0
    assert (desk.path / "conftest.ran").exists()
    (checkpoint / "conftest.py").write_text("raise ImportError")
    refused(desk, "--steering-model=.", sentence=".: the directory has no config.json*")


def test_what_lies_beside_a_file_or_a_module_is_the_users_own(desk: Desk) -> None:
    desk.write(conftest="open('conftest.ran', 'w').close()")
    for model in (MODEL, "--steering-model=./none.gguf"):
        desk.run(model, "--co")
    assert (desk.path / "conftest.ran").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("python", "names"), [(["-P", "-m", "pytest", "-n1"], (*THEIRS, *SOONER)), (["-m", "pytest"], THEIRS)], ids=str
)
def test_nothing_of_it_runs(desk: Desk, checkpoint: Path, python: list[str], names: tuple[str, ...]) -> None:
    """With ``python -m`` Python looks there first until this plugin is asked: until then nothing can be done."""
    planted(checkpoint, *names)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST_"))}
    command = [sys.executable, *python, "-p", "no:cacheprovider", "-k", "layers_found", "--steering-model=."]
    done = subprocess.run(command, cwd=checkpoint, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert list(desk.path.glob("*.ran")) == []


@pytest.mark.slow
def test_nor_where_an_engine_is_judged(desk: Desk, checkpoint: Path) -> None:
    planted(checkpoint, *THEIRS, *SOONER)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST_"))}
    asked = ("-k", "agrees_unsteered", "--steering-model=.", "--steering-engine=own")
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", *asked]
    done = subprocess.run(command, cwd=checkpoint, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "with own" in done.stdout
    assert list(desk.path.glob("*.ran")) == []


@pytest.mark.slow
def test_the_command_looks_there_last(checkpoint: Path) -> None:
    planted(checkpoint, *THEIRS)
    command = [sys.executable, "-m", "pytest_steering", "experiment", "--model=./none", "--output=out"]
    done = subprocess.run(command, cwd=checkpoint, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert list(checkpoint.parent.glob("*.ran")) == []
