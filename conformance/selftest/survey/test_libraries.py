"""What was found in libraries is kept with a cause for each failure, and their adapters load only when asked for."""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest.places import ROOT
from pytest_steering import naming
from pytest_steering.__main__ import main
from pytest_steering.adapters.registry import GROUP, find_factory
from pytest_steering.errors import SpecError
from pytest_steering.survey.files import SurveyError
from pytest_steering.survey.libraries.findings import FINDINGS as KNOWN
from pytest_steering.survey.libraries.findings import UNEXPLAINED
from pytest_steering.survey.libraries.stored import STORED, read_findings, read_stored, write_stored
from pytest_steering.survey.libraries.table import table

SCRIPTS = ROOT / "fixtures" / "findings"
FINDINGS = read_stored()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LIBRARIES = {
    name: target
    for name, target in PROJECT["entry-points"][GROUP].items()
    if target.startswith("pytest_steering.adapters.libraries.")
}


def result(name: str, outcome: str = "passed", reason: str = "") -> dict[str, Any]:
    return {"id": name, "group": "divergence", "outcome": outcome, "reason": reason}


def report(path: Path, adapter: str, *results: dict[str, Any], suite: str = "1.0", verdict: str = "fails") -> Path:
    model = {
        "spec": "tiny:llama",
        "adapter": adapter,
        "verdict": verdict,
        "architecture": None,
        "requirements": results,
        "cost": {"load_seconds": 0.1},
    }
    environment = {"versions": {"torch": "2.13.0+cpu", "transformers": "5.23.0"}}
    path.write_text(json.dumps({"schema": 1, "suite": suite, "environment": environment, "models": [model]}))
    return path


def test_the_readme_shows_what_is_kept() -> None:
    readme = (ROOT / "pytest_steering" / "survey" / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- libraries -->\n(.*?)\n<!-- /libraries -->", readme, re.DOTALL)
    assert shown is not None
    assert shown[1] == table(FINDINGS)


def test_it_is_written_as_runs_are_kept(tmp_path: Path) -> None:
    write_stored(FINDINGS, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text(encoding="utf-8") == STORED.read_text(encoding="utf-8")


def test_every_failure_has_a_cause_and_every_cause_a_script() -> None:
    verdicts = [verdict for library in FINDINGS["libraries"] for verdict in library["models"].values()]
    used = {cause for verdict in verdicts for cause in verdict.get("failed", ())}
    beside = {finding.name for finding in KNOWN if not finding.signs}
    assert used | beside == set(FINDINGS["causes"])
    assert FINDINGS["causes"] == {finding.name: finding.says for finding in KNOWN}
    assert used | beside == {path.stem for path in SCRIPTS.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_script_of_a_library_needs_that_library_alone(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert len(text.splitlines()) < 60
    assert ast.get_docstring(tree)
    assert ("pytest_steering" in imported) == path.stem.startswith("suite_")


def test_each_library_has_an_extra_and_a_tox_environment_of_the_judged_version() -> None:
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    judged = {library["adapter"]: library["version"] for library in FINDINGS["libraries"]}
    assert len(LIBRARIES) == 5
    for name in LIBRARIES:
        assert name in PROJECT["optional-dependencies"]
        assert f"[testenv:library-{name}]" in tox
        assert f"    {name}=={judged[name]}\n" in tox


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_that_is_not_installed_is_named_in_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name, target, GROUP) for name, target in LIBRARIES.items()]
    monkeypatch.setattr(naming, "_installed", lambda group, path: {point.name: point for point in points})
    monkeypatch.setitem(sys.modules, name.replace("-", "_"), None)
    monkeypatch.delitem(sys.modules, LIBRARIES[name].partition(":")[0], raising=False)
    with pytest.raises(SpecError) as refusal:
        find_factory(name)
    said = str(refusal.value)
    assert said.startswith(f"steering adapter {name!r} cannot be imported (")
    assert said.endswith(f"install its package, as in pip install 'pytest-steering[{name}]'")
    assert "\n" not in said


def test_the_room_of_the_libraries_imports_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    room = "pytest_steering.adapters.libraries"
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name.replace("-", "_"), None)
    monkeypatch.delitem(sys.modules, room, raising=False)
    importlib.import_module(room)


def test_reports_become_verdicts_with_causes(tmp_path: Path) -> None:
    shape = "RuntimeError: shape '[3, 10, 1]' is invalid for input of size 10"
    refusal = "adapter pyvene cannot be built: ValueError: pyvene refuses LlamaForCausalLM: KeyError: 'h'"
    findings = read_findings(
        [
            report(tmp_path / "a.json", "repeng 0.4.0", result("exact-delta", "failed", shape), result("beams")),
            report(tmp_path / "b.json", "pyvene", result("exact-delta", "error", refusal), verdict="error"),
            report(tmp_path / "c.json", "hooks", result("exact-delta"), verdict="conforms"),
            report(tmp_path / "d.json", "other 1.0", result("exact-delta", "failed", "max 1"), verdict="fails"),
        ]
    )
    assert [library["models"]["tiny:llama"] for library in findings["libraries"]] == [
        {"verdict": "fails", "failed": {"repeng_batch": ["exact-delta"]}},
        {"verdict": "refuses", "reason": "LlamaForCausalLM: KeyError: 'h'"},
        {"verdict": "conforms"},
        {"verdict": "fails", "failed": {UNEXPLAINED: ["exact-delta"]}},
    ]
    shown = table(findings)
    assert "| `repeng` 0.4.0 (transformers 5.23.0) | llama | fails: `exact-delta` (`repeng_batch`) |" in shown
    assert "refuses: KeyError: 'h' |" in shown
    assert "conforms |" in shown


def test_it_was_judged_with_the_torch_that_is_pinned() -> None:
    pins = dict(line.split("==") for line in (ROOT / ".ci/constraints.txt").read_text().split() if "==" in line)
    assert {library["versions"]["torch"] for library in FINDINGS["libraries"]} == {pins["torch"]}


def test_what_cannot_be_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = [report(tmp_path / f"{suite}.json", "hooks", result("beams"), suite=suite) for suite in ("1.0", "2.0")]
    with pytest.raises(SurveyError, match=r"of different suites: 1\.0, 2\.0"):
        read_findings(reports)
    monkeypatch.setattr(sys, "argv", ["pytest_steering", "libraries", "--write"])
    assert main() == 4
    assert capsys.readouterr().err == "--write has nothing to write: name a report with --from=REPORT\n"
    monkeypatch.setattr(sys, "argv", ["pytest_steering", "libraries"])
    assert main() == 0
    assert capsys.readouterr().out == f"{table(FINDINGS)}\n"
