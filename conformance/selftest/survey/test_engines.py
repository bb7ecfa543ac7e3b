"""What was found in serving engines is kept, with how precise each is, and shown as it is kept."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest.places import ROOT
from pytest_steering.__main__ import main
from pytest_steering.survey.engines.stored import read_engines, read_stored, write_stored
from pytest_steering.survey.engines.table import table
from pytest_steering.survey.files import SurveyError

PRECISION = {"apart": 2.04e-6, "floor": 2.1e-6, "effect": 1.234}


def result(name: str, outcome: str = "passed", reason: str = "") -> dict[str, Any]:
    return {"id": name, "group": "engine", "outcome": outcome, "reason": reason}


def report(path: Path, *results: dict[str, Any], suite: str = "1.1", kind: str = "engine", **more: Any) -> Path:
    model = {
        "spec": "/somewhere/qwen2",
        "adapter": "mine 2.0",
        "device": "cpu float32",
        "kind": kind,
        "verdict": "fails",
        "architecture": None,
        "requirements": results,
        "cost": {"load_seconds": 0.1},
        "precision": PRECISION,
        **more,
    }
    environment = {"versions": {"torch": "2.13.0+cpu", "transformers": "5.23.0"}}
    path.write_text(json.dumps({"schema": 1, "suite": suite, "environment": environment, "models": [model]}))
    return path


def test_the_readme_shows_what_is_kept() -> None:
    readme = (ROOT / "pytest_steering" / "survey" / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- engines -->\n(.*?)\n<!-- /engines -->", readme, re.DOTALL)
    assert shown is not None
    assert shown[1] == table(read_stored()), "run: python -m pytest_steering engines"


def test_a_report_becomes_a_row_with_figures(tmp_path: Path) -> None:
    failing = result("stop", "failed"), result("stop", "failed"), result("sampling", "not_applicable"), result("seed")
    found = read_engines([report(tmp_path / "a.json", *failing)])
    write_stored(found, tmp_path / "kept.json")
    assert read_stored(tmp_path / "kept.json") == found
    assert table(found).splitlines()[2] == (
        "| `mine 2.0` (torch 2.13.0, transformers 5.23.0) | `qwen2, cpu float32` | 2.0e-06 | 1.2e+00 | "
        "fails (1 passed; failed: stop; n.a.: sampling) |"
    )


def test_an_engine_that_cannot_be_judged_says_why(tmp_path: Path) -> None:
    path = report(tmp_path / "a.json", result("stop", "error", "it does not start"), precision={}, verdict="error")
    assert "| - | - | cannot be judged: it does not start |" in table(read_engines([path]))


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    one, other = report(tmp_path / "a.json"), report(tmp_path / "b.json", suite="1.0")
    with pytest.raises(SurveyError, match=r"different suites: 1\.0, 1\.1"):
        read_engines([one, other])
    with pytest.raises(SurveyError, match="no engine was judged"):
        read_engines([report(tmp_path / "c.json", kind="adapter")])


def test_the_command_prints_what_a_report_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = report(tmp_path / "a.json", result("stop"))
    monkeypatch.setattr(sys, "argv", ["pytest_steering", "engines", "--from", str(path)])
    assert main() == 0
    assert "`mine 2.0`" in capsys.readouterr().out
