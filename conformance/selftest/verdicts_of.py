"""The suite run in a process of its own, and what its report says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from conformance.selftest.forking.interpreter import interpreter_of_new
from conformance.selftest.places import ROOT


def verdicts(report: Path, *arguments: str, **environment: str) -> dict[str, dict[str, Any]]:
    """What a run of the suite says of each adapter: the ids that failed, and the likely cause on the terminal."""
    command = [interpreter_of_new(), "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "--benchmark-disable"]
    result = subprocess.run(
        [*command, f"--steering-report={report}", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    likely = _likely(result.stdout)
    found = {}
    for row in json.loads(report.read_text())["models"]:
        failed = {entry["id"] for entry in row["requirements"] if entry["outcome"] in ("failed", "error")}
        name = f"{row['spec']} with {row['adapter']}"
        found[f"{row['spec']} {row['adapter']}"] = {**row, "failed": failed, "likely": likely.get(name, "")}
    return found


def _likely(stdout: str) -> dict[str, str]:
    """The likely cause that each block of the terminal ends with."""
    found: dict[str, str] = {}
    block = ""
    for line in stdout.splitlines():
        if heading := re.fullmatch(r"-+ (.+ with .+) -+", line):
            block = heading[1]
        elif line.startswith("likely: "):
            found[block] = line.removeprefix("likely: ")
    return found
