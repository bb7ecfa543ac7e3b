"""The README's commands are run here or by CI, and its code works as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_steering.fixtures.checkpoint import write_checkpoint
from pytest_steering.fixtures.hub_server import Repository, hub

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

COMMANDS = re.findall(r"^\$ (.+?)(?:\s+#.*)?$", README, re.MULTILINE)
OF_CI = [command for command in COMMANDS if ".venv" in command]
OF_STUDY = [command for command in COMMANDS if "pytest_steering experiment" in command]
OF_USERS = [command for command in COMMANDS if command not in OF_CI + OF_STUDY]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

MODELS = """
from pytest_steering.zoo import tiny_model

def build():
    return tiny_model("gpt2")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the README's examples name."""
    root = tmp_path_factory.mktemp("project")
    for package, module, text in (("my_lib", "steer", PYTHON[0]), ("my_pkg", "models", MODELS)):
        (root / package).mkdir()
        (root / package / "__init__.py").touch()
        (root / package / f"{module}.py").write_text(text)
    (root / "tests").mkdir()
    (root / "tests" / "test_mine.py").write_text(PYTHON[1])
    write_checkpoint(root / "my-checkpoint")
    (root / "fixtures").symlink_to(ROOT / "fixtures")
    shutil.copytree(ROOT / "fixtures/configs/starcoder2-15b", root / "starcoder2-15b")
    return root


def run(command: str, project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        f"{sys.executable} -m {command}",
        shell=True,
        cwd=project,
        env={**inherited, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_two_commands_are_those_of_ci() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert len(OF_CI) == 3
    for command in OF_CI:
        assert command in script


@pytest.mark.slow
@pytest.mark.parametrize("command", OF_USERS)
def test_every_other_command(command: str, project: Path, tmp_path: Path) -> None:
    with hub({"bigcode/starcoder2-3b": Repository(project / "my-checkpoint")}) as server:
        result = run(
            f"{command} -p no:cacheprovider",
            project,
            HF_ENDPOINT=server.url,
            HF_HOME=str(tmp_path),
            HF_HUB_OFFLINE="0",
            no_proxy="127.0.0.1",
        )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "conforms to 1.0" in result.stdout


@pytest.mark.slow
def test_the_example_tests_run(project: Path) -> None:
    result = run("pytest -q -p no:cacheprovider tests", project)
    assert result.returncode == 0, result.stdout
    assert "2 passed" in result.stdout


WALK = "pytest -q -p no:cacheprovider --steering-model=tiny:llama --steering-adapter={}:MyAdapter -k every_row"


def test_the_walk_from_a_failure_to_the_mended_line(project: Path) -> None:
    mended = PYTHON[0].partition("            if isinstance(output, tuple):")
    (project / "wrong.py").write_text(
        f"{mended[0]}            output[0].add_(delta.to(output[0]))\n        return hook\n"
    )
    failed = run(WALK.format("wrong"), project)
    assert failed.returncode == 1
    assert "likely: only batch row 0 is steered (output[0] on a layer that returns a tensor)" in failed.stdout
    assert run(WALK.format("my_lib.steer"), project).returncode == 0


def test_the_example_vector_is_trained_and_kept(project: Path) -> None:
    (project / "vectors.py").write_text(PYTHON[2])
    result = run("vectors", project)
    assert result.returncode == 0, result.stderr
    assert (project / "unsafe.safetensors").stat().st_size > 0
    assert (project / "unsafe.gguf").stat().st_size > 0


@pytest.mark.slow
def test_the_experiment_says_what_is_printed(project: Path) -> None:
    (command,) = OF_STUDY
    result = run(f"{command.removeprefix('python -m ')} --quiet", project)
    assert result.returncode == 0, result.stderr
    shown = README.partition("<!-- experiment -->\n```text\n")[2].partition("\n```\n<!-- /experiment -->")[0]
    rows = [line.split()[0] for line in result.stdout.splitlines() if line[:4] in ("weak", "CWE-", "all ")]
    assert rows == [line.split()[0] for line in shown.splitlines() if line[:4] in ("weak", "CWE-", "all ")]
    assert "19 random directions of equal norm" in result.stdout
    assert "scale 100" in result.stdout


def test_the_example_adapter_is_short() -> None:
    assert "class MyAdapter" in PYTHON[0]
    assert len(PYTHON[0].splitlines()) < 40


def test_the_example_failure_is_a_real_one() -> None:
    result = run(
        "pytest --steering-model=tiny:llama --steering-adapter=pytest_steering.fixtures.known_bad.tokens:RowZero "
        '-p no:cacheprovider "conformance/test_positions.py::test_every_row[tiny:llama-middle]"',
        ROOT,
    )
    shown = re.search(r"<!-- first failure -->\n```text\n(.*?)\n```", README, re.DOTALL)
    assert shown is not None
    assert shown[1] in result.stdout
    assert result.returncode == 1
