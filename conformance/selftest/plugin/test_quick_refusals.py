"""What can be told without torch is told without it: it takes seconds to import."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conformance.selftest.desk import OTHERS, Desk

TINY = "--steering-model=tiny:llama"
LATE = ("torch", "transformers", "hypothesis", "numpy")

TELLS = f"""
import atexit, sys
atexit.register(lambda: open("imported", "a").write(" ".join(set(sys.modules) & set({LATE!r}))))
"""


@pytest.mark.parametrize(
    "options",
    [
        ["--steering-model=./nowhere"],
        [TINY, "--steering-model=./nowhere"],
        ["--steering-model=config:./nowhere"],
        ["--steering-model=nowhere.gguf"],
        ["--steering-model=no such thing"],
        ["--steering-model=nowhere:model"],
        ["--steering-model=tiny:llama?layers=0"],
        ["--steering-model=tiny:lama"],
        ["--steering-model=tiny:lama@image-text-to-text"],
        ["--steering-model=tiny:lama*"],
        [TINY, "--steering-model=tiny:lama?layers=2"],
        [TINY, "--steering-adapter=hoks"],
        [TINY, "--steering-adapter=nowhere:Adapter"],
        [TINY, "--steering-engine=vlm"],
        [TINY, "--steering-dtype=fp33"],
        [TINY, "--steering-profile=cor"],
        [TINY, "--steering-suite=9"],
        [TINY, "--steering-report=report.txt"],
        [TINY, "--steering-baseline=nowhere.json"],
        [TINY, "--steering-timeout=-1"],
        [TINY, "-m", "steering_requirement(id='nothing')"],
    ],
    ids=" ".join,
)
def test_it_is_refused_before_torch_is_imported(desk: Desk, options: list[str]) -> None:
    desk.write(sitecustomize=TELLS)
    command = [sys.executable, "-m", "pytest", *OTHERS, *options]
    environment = {**os.environ, "PYTHONPATH": str(desk.path)}
    done = subprocess.run(command, cwd=desk.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    assert (desk.path / "imported").read_text() == ""
