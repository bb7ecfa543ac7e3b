"""With little memory the workload shrinks, the suite still judges, and the report says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.selftest.places import ROOT

LITTLE = """
from pytest_steering.targets import memory

memory.available_bytes = lambda device: {free}
"""


def run(tmp_path: Path, free: int, *arguments: str) -> tuple[str, dict]:  # type: ignore[type-arg]
    (tmp_path / "little.py").write_text(LITTLE.format(free=free))
    report = tmp_path / "report.json"
    options = ["-p", "little", "--steering-model=tiny:gpt2", f"--steering-report={report}", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--benchmark-disable", *options, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout, json.loads(report.read_text())["models"][0]


@pytest.mark.slow
def test_it_shrinks_and_still_conforms(tmp_path: Path) -> None:
    output, model = run(tmp_path, 400_000, "-k", "not pairs and not session and not compile")
    assert "note: workload shrunk to 2 rows × 4 tokens: 0.4 MB free" in output
    assert model["verdict"] == "conforms"


@pytest.mark.slow
def test_too_little_is_one_sentence(tmp_path: Path) -> None:
    output, model = run(tmp_path, 1_000, "-k", "exact_delta")
    assert model["verdict"] == "error"
    assert "2 rows × 4 tokens need " in output
    assert output.count("Traceback") == 0
