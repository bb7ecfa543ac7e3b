"""The README is short, its tables are generated, and its code works as printed; its commands run in another test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.selftest.places import ROOT
from pytest_steering.suite import contract

README = (ROOT / "README.md").read_text(encoding="utf-8")
OF_A_CLONE = re.findall(r"^\$ (.*\.venv.*)$", README, re.MULTILINE)
ADAPTER, OWN_TEST = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the README shows, under the names that it gives them."""
    root = tmp_path_factory.mktemp("project")
    (root / "my_lib").mkdir()
    (root / "my_lib" / "__init__.py").touch()
    (root / "my_lib" / "steer.py").write_text(ADAPTER)
    return root


def run(command: str, project: Path) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        f"{sys.executable} -m {command} -p no:cacheprovider",
        shell=True,
        cwd=project,
        env={**inherited, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_read_in_five_minutes() -> None:
    read = [line for line in README.splitlines() if not line.startswith("|")]
    assert len(read) <= 180


def test_the_commands_of_a_clone_are_those_of_ci() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert len(OF_A_CLONE) == 3
    for command in OF_A_CLONE:
        assert command in script


def test_the_contract_of_an_adapter_is_the_one_of_the_code() -> None:
    shown = re.search(r"<!-- capabilities -->\n(.*)\n<!-- /capabilities -->", README, re.DOTALL)
    assert shown is not None
    assert shown[1] == f"{contract.capabilities()}\n\n{contract.attributes()}", (
        "run: python -m pytest_steering capabilities"
    )


def test_what_it_points_to_is_there() -> None:
    linked = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert len(linked) > 5
    assert [target for target in linked if not (ROOT / target.partition("#")[0]).exists()] == []


WALK = "pytest -q --steering-model=tiny:llama --steering-adapter={}:MyAdapter -k every_row"


@pytest.mark.slow
def test_the_walk_from_a_failure_to_the_mended_line(project: Path) -> None:
    begins = ADAPTER.partition("            if isinstance(output, tuple):")[0]
    (project / "wrong.py").write_text(f"{begins}            output[0].add_(delta.to(output[0]))\n        return hook\n")
    failed = run(WALK.format("wrong"), project)
    assert failed.returncode == 1
    assert "likely: only batch row 0 is steered (output[0] on a layer that returns a tensor)" in failed.stdout
    assert run(WALK.format("my_lib.steer"), project).returncode == 0


def test_the_example_adapter_is_short() -> None:
    assert "class MyAdapter" in ADAPTER
    assert len(ADAPTER.splitlines()) < 40
    assert "def test_my_model_is_steered" in OWN_TEST


@pytest.mark.slow
def test_the_example_failure_is_a_real_one() -> None:
    shown = re.search(r"<!-- first failure -->\n```text\n(.*?)\n```", README, re.DOTALL)
    assert shown is not None
    rerun = shown[1].partition("rerun: ")[2]
    result = run(rerun, ROOT)
    assert shown[1] in result.stdout
    assert result.returncode == 1
