"""The study's README: its code runs, and the experiment says what is printed there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from conformance.selftest.forking.interpreter import interpreter
from conformance.selftest.places import ROOT

README = (ROOT / "pytest_steering" / "evaluation" / "README.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
(COMMAND,) = re.findall(r"^\$ python -m (.+)$", README, re.MULTILINE)


def run(arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "fixtures").symlink_to(ROOT / "fixtures")
    return subprocess.run(
        f"{interpreter()} -m {arguments}",
        shell=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_vector_is_trained_and_stored(tmp_path: Path) -> None:
    (tmp_path / "vectors.py").write_text(EXAMPLE)
    result = run("vectors", tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "unsafe.safetensors").stat().st_size > 0
    assert (tmp_path / "unsafe.gguf").stat().st_size > 0


@pytest.mark.slow
def test_the_experiment_says_what_is_printed(tmp_path: Path) -> None:
    result = run(f"{COMMAND} --quiet", tmp_path)
    assert result.returncode == 0, result.stderr
    shown = README.partition("<!-- experiment -->\n```text\n")[2].partition("\n```\n<!-- /experiment -->")[0]
    heads = [[line.split()[0] for line in text.splitlines() if line.strip()] for text in (result.stdout, shown)]
    assert heads[0][: len(heads[1])] == heads[1]
    assert "19 random directions of equal norm" in result.stdout
