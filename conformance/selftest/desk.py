"""A user's project with the plugin in it, on stand-ins for the rooms that need torch."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pytest_steering

STANDIN = Path(__file__).parent / "standin"
PACKAGE = Path(pytest_steering.__file__).parent
OTHERS = ("-p", "no:benchmark", "-p", "no:hypothesispytest", "-p", "no:anyio")
"""Plugins that take longer to start than a test of this one takes to run."""
ROOMS = {"specs.py": "specs.py", "target.py": "target.py", "adapters.py": "adapters/__init__.py"}


def build_house(root: Path, *, wheel: bool) -> Path:
    """A directory to import ``pytest_steering`` from, with the stand-in suite where a wheel or a checkout has it."""
    package = root / "pytest_steering"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "conformance"))
    for source, target in ROOMS.items():
        shutil.copy(STANDIN / source, package / target)
    shutil.copytree(
        STANDIN / "suite",
        (package if wheel else root) / "conformance",
        ignore=shutil.ignore_patterns("__pycache__", *(["selftest"] if wheel else [])),
    )
    return root


@dataclass
class Desk:
    """A user's project, with pytest run in it."""

    pytester: pytest.Pytester
    house: Path
    log: Path

    @property
    def path(self) -> Path:
        return self.pytester.path

    def write(self, **files: str) -> None:
        """Files of the project, by name without ``.py``."""
        self.pytester.makepyfile(**files)

    def ini(self, *lines: str) -> None:
        self.pytester.makefile(".ini", pytest="\n".join(("[pytest]", *lines)))

    def run(self, *args: str | Path) -> pytest.RunResult:
        return self.pytester.runpytest_subprocess(*OTHERS, *args)

    def logged(self) -> list[str]:
        """When which model was loaded and freed."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def loaded(self) -> list[str]:
        return sorted(line.split()[1] for line in self.logged() if line.startswith("loaded"))

    def report(self, name: str = "report.json") -> Any:
        return json.loads((self.path / name).read_text())


both_installs = pytest.mark.parametrize("desk", ["wheel", "checkout"], indirect=True)
no_xdist_and_two_workers = pytest.mark.parametrize(
    "workers", [("-p", "no:xdist"), ("-n", "2")], ids=["no xdist", "-n2"]
)


def ids(result: pytest.RunResult) -> list[str]:
    """The node ids that ``--co -q`` lists."""
    return [line for line in result.outlines if "::" in line]
