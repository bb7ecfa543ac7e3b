"""The recipe for base and head in one job, run as it stands in the README on two checkouts of a small library."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.selftest.places import ROOT

TEXT = (ROOT / "conformance" / "README.md").read_text(encoding="utf-8")
(RECIPE,) = (block for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL) if "worktree" in block)

RIGHT = "from pytest_steering.adapters.hooks import HooksAdapter as MyAdapter\n"
WRONG = "from pytest_steering.fixtures.known_bad.scale import SignLost as MyAdapter\n"
WRONG_AT_FIRST = """
from pathlib import Path
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.fixtures.known_bad.scale import SignLost

ran = Path(__file__).with_name("ran")
MyAdapter = HooksAdapter if ran.exists() else SignLost
ran.touch()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("head", "status"), [(WRONG, 1), (WRONG_AT_FIRST, 0)], ids=["worse", "worse by chance"])
def test_what_got_worse_ends_the_job_where_it_shows_twice(head: str, status: int, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "my_lib").mkdir(parents=True)
    _git(project, "init", "-q", "-b", "main")
    _commit(project, RIGHT)
    _git(project, "update-ref", "refs/remotes/origin/main", "HEAD")
    _commit(project, head)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTEST_ADDOPTS": '-k "exact_delta or layers_found" -p no:cacheprovider -q',
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", RECIPE],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "exact-delta: passed, fails now" in done.stdout, done.stdout
    assert [(project / f"{name}.json").exists() for name in ("base1", "head1", "head2", "base2")] == [True] * 4


def _commit(project: Path, source: str) -> None:
    (project / "my_lib" / "steer.py").write_text(source)
    _git(project, "add", "my_lib/steer.py")
    _git(project, "commit", "-q", "-m", "steers")


def _git(project: Path, *args: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *args], cwd=project, check=True)
