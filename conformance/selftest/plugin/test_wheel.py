"""The bundled suite is found in a wheel as it is in the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_steering
from conformance.selftest.desk import FEW, MODEL, OF_FEW, RIGHT, Desk, ids
from conformance.selftest.places import ROOT
from conformance.selftest.plugin import test_collection as collection_tests

pytestmark = pytest.mark.skipif(
    not (Path(pytest_steering.__file__).parent.parent / "pyproject.toml").exists(),
    reason="what is tested lies in no checkout",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of packages with this one in it, laid out as the wheel has it."""
    root = tmp_path_factory.mktemp("wheel") / "site-packages"
    package = root / "pytest_steering"
    leave = shutil.ignore_patterns("__pycache__", "selftest")
    shutil.copytree(ROOT / "pytest_steering", package, ignore=leave)
    for name in ("conformance", "fixtures"):
        shutil.copytree(ROOT / name, package / name, ignore=leave)
    return root


@pytest.mark.slow
def test_the_suite_is_found_there_too(site: Path) -> None:
    """All that is said of collection in the checkout holds for the wheel: the same tests, in a process of its own."""
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(collection_tests.__file__)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )
    outcomes = pytest.RunResult.parse_summary_nouns(done.stdout.splitlines())
    assert outcomes.keys() == {"passed", "skipped"}, done.stdout[-3000:]
    assert outcomes["skipped"] == 4, "in a wheel there is no checkout to test"
    assert outcomes["passed"] > 20


@pytest.mark.slow
def test_a_wheel_in_the_projects_own_environment(desk: Desk, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = desk.path / ".venv"
    packages = environment / "lib" / "python3" / "site-packages"
    shutil.copytree(site, packages)
    packages.joinpath("test_stray.py").write_text("def test_stray(): assert 0")
    environment.joinpath("pyvenv.cfg").write_text("home = /usr/bin\n")
    monkeypatch.setenv("PYTHONPATH", str(packages))
    desk.ini("addopts = --ignore-glob=.venv/*conformance*")
    desk.write(
        test_mine="def test_mine(steering_model): pass",
        watch="def pytest_collect_file(file_path): assert 'test_stray' not in file_path.name",
    )
    result = desk.run_apart(MODEL, RIGHT, "-p", "watch", "-v", *FEW)
    assert [line.partition(" PASSED")[0] for line in result.outlines if " PASSED" in line] == OF_FEW
    assert ids(desk.run_apart(MODEL, "--co", "-q", ".")) == ["test_mine.py::test_mine[my_models:a]"]
