"""What GitHub reads of a run: commands in the log, and the summary of the job; a badge; JUnit for the others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

import conformance
from conformance.selftest.desk import BAD, FEW, MODEL, RIGHT, TIMID, Desk
from pytest_steering.report.badge import badge
from pytest_steering.report.github import annotated, summary
from pytest_steering.report.model import Outcome, Record, Result
from pytest_steering.suite.catalogue import Asked

COMMAND = re.compile(r"::error (?P<properties>[^:]*)::(?P<data>.*)")
RAISING = """
from contextlib import contextmanager
from my_steering import Right
class Raising(Right):
    @contextmanager
    def steer(self, plan):
        helper()
        yield
def helper():
    raise RuntimeError("50% of it, see ::error::x\\n\\r::warning file=y::z | <b>[a](http://b)</b> @you \\x1b[31m")
def make(model, architecture):
    return Raising(model, architecture)
"""


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A step of a job, with the file of its summary."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    return tmp_path / "summary.md"


def commands(result: pytest.RunResult) -> list[tuple[dict[str, str], str]]:
    """The commands as GitHub's runner reads them: any line that begins with two colons."""
    found = []
    for line in result.outlines:
        if line.strip().startswith("::"):
            match = COMMAND.fullmatch(line.strip())
            assert match, line
            properties = dict(part.split("=", 1) for part in match["properties"].split(","))
            found.append(({name: unquote(value) for name, value in properties.items()}, unquote(match["data"])))
    return found


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "2")], ids=["alone", "two"])
def test_a_failure_is_shown_where_the_adapter_is_defined(desk: Desk, github: Path, workers: tuple[str, ...]) -> None:
    result = desk.run(MODEL, BAD, RIGHT, *FEW, *workers)
    ((properties, said),) = commands(result)
    lines = (desk.path / "my_steering.py").read_text().splitlines()
    assert properties["file"] == "my_steering.py"
    assert lines[int(properties["line"]) - 1] == "class FirstRowOnly(Right):"
    assert properties["title"] == "FirstRowOnly on my_models:a fails exact-delta, every-row"
    assert (
        said.splitlines()[0] == "exact-delta: the steered residual equals the unsteered one plus scale times the vector"
    )
    assert said.splitlines()[2].startswith("rerun: pytest --steering-model=my_models:a ")
    text = github.read_text()
    assert text.startswith("before\n## Steering: suite 1.1\n")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "<code>" in line]
    assert [row.split(" | ")[0] for row in rows] == ["| ❌", "| ◐"]
    assert text.count("<details>") == text.count("</details>") == 1


def test_an_exception_is_shown_at_its_line(desk: Desk, github: Path) -> None:
    desk.write(my_raising=RAISING)
    result = desk.run(MODEL, "--steering-adapter=my_raising:make", *FEW)
    found = commands(result)
    (places,) = {(properties["file"], properties["line"]) for properties, _ in found if "line" in properties}
    assert places == (
        "my_raising.py",
        str(
            RAISING.splitlines().index(next(line for line in RAISING.splitlines() if "raise RuntimeError" in line)) + 1
        ),
    )
    assert any("50% of it, see ::error::x" in said for _, said in found)
    text = github.read_text()
    assert "\x1b" not in text + result.stdout.str()
    assert "<b>[" not in text
    assert "](http" not in text
    assert "@you" not in text


def test_what_is_installed_elsewhere_has_no_line(desk: Desk, github: Path) -> None:
    adapter = "--steering-adapter=pytest_steering.fixtures.known_bad.tokens:RowZero"
    ((properties, _),) = commands(desk.run(MODEL, adapter, *FEW))
    assert set(properties) == {"title"}


def test_elsewhere_nothing_is_written(desk: Desk, github: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    assert commands(desk.run(MODEL, BAD, *FEW)) == []
    assert github.read_text() == "before\n"


def test_a_summary_that_cannot_be_written_is_told(desk: Desk, github: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(github / "no"))
    result = desk.run(MODEL, RIGHT, *FEW)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["the job summary cannot be written to *: Not a directory"])


def whole(**outcomes: Outcome) -> Record:
    """A record with one test of every requirement: passed, but for those that are named."""
    record = Record(["tiny:llama"], ["hooks"])
    for each in Asked().requirements.values():
        outcome = outcomes.get(each.id.replace("-", "_"), Outcome.PASSED)
        record.results[each.nodeid] = Result(
            each.nodeid, each.id, each.group, "tiny:llama", "hooks", outcome=outcome, called=True
        )
    return record


def part() -> Record:
    record = whole()
    record.results.popitem()
    return record


COUNT = len(Asked().requirements)


@pytest.mark.parametrize(
    ("record", "succeeded", "message", "color"),
    [
        (whole(), True, "conforms to 1.1", "brightgreen"),
        (whole(), False, "the run failed", "red"),
        (whole(beams=Outcome.NOT_APPLICABLE), True, "conforms to 1.1", "brightgreen"),
        (whole(beams=Outcome.KNOWN), True, "1.1, 1 known failure", "yellow"),
        (whole(beams=Outcome.FAILED), False, "fails 1.1", "red"),
        (whole(beams=Outcome.FAILED), True, "fails 1.1", "red"),
        (part(), True, f"judged in part: {COUNT - 1} of {COUNT} requirements", "lightgrey"),
        (Record([], []), True, "nothing was judged", "lightgrey"),
        (Record([], [], Asked(profile="core")), False, "nothing was judged", "lightgrey"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_badge(record: Record, succeeded: bool, message: str, color: str) -> None:
    found = badge(record, succeeded=succeeded)
    assert found == {"schemaVersion": 1, "label": "steering", "message": message, "color": color}


def test_a_badge_of_a_run_that_is_cut_short_says_so(desk: Desk) -> None:
    path = desk.path / "x.badge.json"
    path.write_text('{"message": "conforms"}')
    desk.plugin("def pytest_runtest_call(self, item): raise KeyboardInterrupt")
    assert desk.run(MODEL, RIGHT, *FEW, "--steering-report=x.badge.json").ret == 2
    assert json.loads(path.read_text())["message"] == "did not finish"


@pytest.mark.parametrize(
    ("adapter", "word"), [(RIGHT, "judged in part"), (BAD, "fails 1.1"), (TIMID, "judged in part")]
)
def test_a_badge_of_a_part_does_not_say_conforms(desk: Desk, adapter: str, word: str) -> None:
    desk.run(MODEL, adapter, *FEW, "--steering-report=x.badge.json")
    assert json.loads((desk.path / "x.badge.json").read_text())["message"].startswith(word)


def test_junit_holds_what_gitlab_shows(desk: Desk) -> None:
    """GitLab reads name, classname, time and the text of failure, error and skipped."""
    desk.write(my_raising=RAISING)
    desk.run(MODEL, "--steering-adapter=my_raising:make", BAD, *FEW, "--junitxml=j.xml")
    cases = list(ET.parse(desk.path / "j.xml").iter("testcase"))
    assert all(case.get("name") and case.get("classname") and case.get("time") for case in cases)
    failures = [case.find("failure") for case in cases if case.find("failure") is not None]
    assert failures
    assert any("likely: only batch row 0 is steered" in str(each.text) for each in failures if each is not None)
    assert all("\x1b" not in str(each.text) for each in failures if each is not None)


def test_the_summary_stays_below_what_github_takes() -> None:
    record = whole()
    for result in record.results.values():
        result.outcome, result.reason = Outcome.FAILED, "long " * 100_000
    assert len(summary(record, []).encode()) < 1_000_000
    assert len(list(annotated(record, Path.cwd(), {}))) <= 10


def the_action() -> Any:
    text = (Path(conformance.__file__).parent / "README.md").read_text(encoding="utf-8")
    return yaml.safe_load(text.partition("<!-- action -->\n```yaml\n")[2].partition("```")[0])


@pytest.mark.slow
def test_the_action_to_copy_runs(desk: Desk, github: Path) -> None:
    """Its step is run as GitHub does it: inputs as the environment, by bash -e -o pipefail."""
    action = the_action()
    step = action["runs"]["steps"][0]
    given = {"models": "my_models:a my_models:b", "adapter": "my_steering:FirstRowOnly", "profile": "core"}
    inputs = {
        f"${{{{ inputs.{name} }}}}": given.get(name, each.get("default")) for name, each in action["inputs"].items()
    }
    environment = {
        **os.environ,
        **{name: inputs[value] for name, value in step["env"].items()},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTEST_ADDOPTS": "-k every_row",
    }
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
    done = subprocess.run(command, cwd=desk.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [model["spec"] for model in desk.report("steering.json")["models"]] == ["my_models:a", "my_models:b"]
    assert {path.name for path in desk.path.glob("steering.*")} == {
        "steering.html",
        "steering.json",
        "steering.badge.json",
        "steering.xml",
    }
    assert done.stdout.count("::error file=my_steering.py,line=") == 2
    assert "## Steering: suite 1.1 core" in github.read_text().replace("&#46;", ".")
