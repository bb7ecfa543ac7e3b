"""The README's commands are run here or by CI, and its code works as printed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.checkpoint import write_checkpoint
from fixtures.hub_server import Repository, hub

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

COMMANDS = re.findall(r"^\$ (.+?)(?:\s+#.*)?$", README, re.MULTILINE)
OF_CI = [command for command in COMMANDS if ".venv" in command]
OF_USERS = [command for command in COMMANDS if command not in OF_CI]
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


def test_the_example_adapter_is_short() -> None:
    assert "class MyAdapter" in PYTHON[0]
    assert len(PYTHON[0].splitlines()) < 40


def test_the_example_failure_is_a_real_one() -> None:
    result = run(
        "pytest --steering-model=tiny:llama --steering-adapter=fixtures.known_bad.tokens:RowZero "
        '-p no:cacheprovider "conformance/test_positions.py::test_every_row[tiny:llama-middle]"',
        ROOT,
    )
    shown = re.search(r"<!-- first failure -->\n```text\n(.*?)\n```", README, re.DOTALL)
    assert shown is not None
    assert shown[1] in result.stdout
    assert result.returncode == 1
