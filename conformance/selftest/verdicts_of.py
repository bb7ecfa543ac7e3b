"""The suite run in a process of its own, and what its report says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def verdicts(report: Path, *arguments: str, **environment: str) -> dict[str, dict[str, Any]]:
    """What a run of the suite says of each adapter: requirement ids by outcome."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "--benchmark-disable"]
    subprocess.run(
        [*command, f"--steering-report={report}", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        check=False,
    )
    found = {}
    for row in json.loads(report.read_text())["models"]:
        failed = {entry["id"] for entry in row["requirements"] if entry["outcome"] in ("failed", "error")}
        found[f"{row['spec']} {row['adapter']}"] = {**row, "failed": failed}
    return found
