"""A user's project with the plugin in it: own models, own adapters, pytest run in this process or in one of its own."""

from __future__ import annotations

import contextlib
import fnmatch
import gc
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest.forking.interpreter import interpreter

PROJECT = Path(__file__).parent / "project"
OTHERS = ("-p", "no:benchmark", "-p", "no:hypothesispytest", "-p", "no:anyio")
"""Plugins that take longer to start than a test of this one takes to run."""

MODEL = "--steering-model=my_models:a"
RIGHT = "--steering-adapter=my_steering:Right"
BAD = "--steering-adapter=my_steering:FirstRowOnly"
TIMID = "--steering-adapter=my_steering:Timid"

FEW = ("-k", "layers_found or exact_delta or every_row or same_twice")
"""Requirements of four groups that take no time."""
FOUND = "conformance/test_architecture.py::test_layers_found[my_models:a]"
EXACT = [
    f"conformance/test_divergence.py::test_exact_delta[my_models:a-{place}-{scale}]"
    for place in ("first", "middle", "last")
    for scale in (0.5, -3.0)
]
ROWS = [f"conformance/test_positions.py::test_every_row[my_models:a-{place}]" for place in ("first", "middle", "last")]
TWICE = "conformance/test_reproducibility.py::test_same_twice[my_models:a]"
OF_FEW = [FOUND, *EXACT, *ROWS, TWICE]
"""Their tests on one model."""


@dataclass(frozen=True)
class Desk:
    """A user's project."""

    path: Path

    def write(self, **files: str) -> None:
        """Files of the project, by name without ``.py``."""
        for name, text in files.items():
            (self.path / f"{name}.py").write_text(text)

    def plugin(self, hook: str) -> None:
        """A plugin of the project with one hook, also for tests that lie elsewhere, here and in each worker."""
        register = "def pytest_configure(config): config.pluginmanager.register(Plugin())"
        self.write(conftest=f"import os, time\n\nclass Plugin:\n    {hook}\n\n{register}\n")

    def ini(self, *lines: str) -> None:
        (self.path / "pytest.ini").write_text("\n".join(("[pytest]", *lines)))

    def run(self, *args: str | Path, at: Path | None = None) -> pytest.RunResult:
        """Pytest run here, where torch is imported already; what it imports of the project is forgotten again."""
        out, err, started = io.StringIO(), io.StringIO(), time.perf_counter()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), self._entered(at or self.path) as patch:
            if any(str(each).startswith("-n") for each in args):
                patch.setattr(sys, "executable", interpreter())  # for its workers
            status = pytest.main([*OTHERS, *map(str, args)])
        return _result(status, out.getvalue(), err.getvalue(), started)

    def run_apart(self, *args: str | Path) -> pytest.RunResult:
        """Pytest run in a process of its own, which has imported nothing of this package before."""
        return self._run_by(interpreter(), *args)

    def run_anew(self, *args: str | Path) -> pytest.RunResult:
        """Pytest run by a new interpreter, which has imported nothing at all: for tests of what is imported."""
        return self._run_by(sys.executable, *args)

    def _run_by(self, executable: str, *args: str | Path) -> pytest.RunResult:
        started = time.perf_counter()
        command = [executable, "-m", "pytest", *OTHERS, *map(str, args)]
        with pytest.MonkeyPatch.context() as patch:
            _plain_environment(patch)
            done = subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False)
        return _result(done.returncode, done.stdout, done.stderr, started)

    def logged(self) -> list[str]:
        """When which model was loaded and freed, and by which worker."""
        log = self.path / "models.log"
        return log.read_text().splitlines() if log.exists() else []

    def loaded(self) -> list[str]:
        return sorted(line.split()[1] for line in self.logged() if line.startswith("loaded"))

    def report(self, name: str = "report.json") -> Any:
        return json.loads((self.path / name).read_text())

    @contextlib.contextmanager
    def _entered(self, directory: Path) -> Iterator[pytest.MonkeyPatch]:
        before, path, meta_path = frozenset(sys.modules), list(sys.path), list(sys.meta_path)
        gc.freeze()  # or each search for garbage, and a run has several, would go through all of torch
        try:
            with contextlib.chdir(directory), pytest.MonkeyPatch.context() as patch:
                _plain_environment(patch)
                yield patch
        finally:
            gc.unfreeze()
            sys.path[:], sys.meta_path[:] = path, meta_path
            for name, module in list(sys.modules.items()):
                origin = getattr(module, "__file__", None) or ""
                if name not in before and (origin.startswith(str(self.path)) or not origin):
                    del sys.modules[name]


def new_desk(path: Path) -> Desk:
    """An empty project, but for the user's models and adapters."""
    for source in PROJECT.glob("*.py"):
        shutil.copy(source, path)
    return Desk(path)


def _plain_environment(patch: pytest.MonkeyPatch) -> None:
    """Pytest is on its own: not told what runs it, nor that it runs in CI, where it shows its summary in full."""
    for name in [name for name in os.environ if name.startswith("PYTEST_") or name in ("CI", "BUILD_NUMBER")]:
        patch.delenv(name)
    patch.setenv("COLUMNS", "80")
    patch.setenv("PY_COLORS", "0")


def _result(status: int, out: str, err: str, started: float) -> pytest.RunResult:
    return pytest.RunResult(status, out.splitlines(), err.splitlines(), time.perf_counter() - started)


def ids(result: pytest.RunResult) -> list[str]:
    """The node ids that ``--co -q`` lists."""
    return [line for line in result.outlines if "::" in line]


def functions(nodeids: list[str]) -> list[str]:
    """The test functions of node ids, each once, in an order of their own."""
    return sorted({nodeid.partition("[")[0] for nodeid in nodeids})


def refused(desk: Desk, *args: str, sentence: str) -> None:
    """A command is refused with exit status 4 and this one sentence, before any model is loaded."""
    result = desk.run(*args)
    assert result.ret == 4, result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    said = [line.removeprefix("ERROR: ") for line in result.errlines if line]
    assert len(said) == 1
    assert fnmatch.fnmatchcase(said[0], sentence.replace("[", "[[]")), said[0]
    assert desk.loaded() == []
