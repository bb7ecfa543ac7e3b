"""The kill matrix is read from reports, kept line by line, and shown as a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.known_bad import ALL, ELSEWHERE, RANKS, costly

from conformance.selftest.places import ROOT
from pytest_steering.__main__ import main
from pytest_steering.survey.files import SurveyError
from pytest_steering.survey.kill_matrix.stored import bugs, read_kills, read_stored, write_stored
from pytest_steering.survey.kill_matrix.table import table


def report(path: Path, dtype: str, torch: str = "2.13.0", **broken: list[str]) -> Path:
    """A report of known-bad adapters on one model, each with the requirements that it breaks."""
    models = [
        {
            "spec": "tiny:llama",
            "adapter": name,
            "verdict": "fails" if ids else "conforms",
            "architecture": None,
            "cost": {"load_seconds": 0.1},
            "requirements": [
                {"id": each, "group": "divergence", "outcome": "failed" if each in ids else "passed", "reason": ""}
                for each in ("exact-delta", "every-row", "every-row")
            ],
        }
        for name, ids in broken.items()
    ]
    document: dict[str, Any] = {
        "schema": 1,
        "suite": "1.0",
        "environment": {"versions": {"torch": torch, "transformers": "5.23.0"}, "device": f"cpu {dtype}"},
        "models": models,
    }
    path.write_text(json.dumps(document))
    return path


def test_a_column_for_each_model_and_dtype(tmp_path: Path) -> None:
    matrix = read_kills(
        [
            report(tmp_path / "a.json", "float32", RowZero=["every-row"], AddedTwice=["exact-delta"], hooks=[]),
            report(tmp_path / "b.json", "bfloat16", RowZero=[]),
        ]
    )
    assert matrix["columns"] == ["tiny:llama", "tiny:llama bfloat16"]
    assert matrix["adapters"] == {
        "AddedTwice": {"tiny:llama": ["exact-delta"]},
        "RowZero": {"tiny:llama": ["every-row"], "tiny:llama bfloat16": []},
    }
    shown = table(matrix)
    assert "2 known-bad adapters; caught are 2 of 2 on tiny:llama, 0 of 1 on tiny:llama bfloat16." in shown
    assert (
        "| `RowZero` | ``output[0]`` on a layer that returns a tensor: batch row 0 alone is steered | 1 | missed |"
        in shown
    )
    assert "`every-row` 1" in shown


def test_what_ran_with_other_versions_is_said(tmp_path: Path) -> None:
    matrix = read_kills(
        [
            report(tmp_path / "a.json", "float32", RowZero=["every-row"]),
            report(tmp_path / "b.json", "float32", torch="2.14.1", AddedTwice=["exact-delta"]),
        ]
    )
    said = table(matrix).splitlines()[0]
    others = "the others with transformers 5.23.0, torch 2.13.0."
    assert said.endswith(f" `AddedTwice` ran with transformers 5.23.0, torch 2.14.1, {others}")
    write_stored(matrix, tmp_path / "kept.json")
    assert read_stored(tmp_path / "kept.json") == matrix


def test_what_is_written_is_read(tmp_path: Path) -> None:
    matrix = read_kills([report(tmp_path / "a.json", "float32", RowZero=["every-row"], AddedTwice=["exact-delta"])])
    write_stored(matrix, tmp_path / "kept.json")
    assert read_stored(tmp_path / "kept.json") == matrix


def test_every_known_bad_adapter_says_what_is_wrong_with_it() -> None:
    said = bugs()
    assert said.keys() == {adapter.__name__ for adapter in (*ALL, *ELSEWHERE, *RANKS)}
    assert all(sentence and not sentence.endswith(".") for sentence in said.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--write"], "--write has nothing to write: name a report with --from=REPORT"),
        (["--from=nothing.json"], "nothing.json cannot be read: No such file or directory"),
    ],
)
def test_bad_input(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest_steering", "kill-matrix", *arguments])
    assert main() == 4
    assert capsys.readouterr().err == f"{message}\n"


def test_reports_without_known_bad_adapters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SurveyError, match="there is no known-bad adapter in it"):
        read_kills([report(tmp_path / "a.json", "float32", hooks=[])])


def test_the_readme_has_the_counts_that_are_kept() -> None:
    said = (ROOT / "pytest_steering" / "survey" / "README.md").read_text(encoding="utf-8")
    shown = said.partition("<!-- kills -->\n")[2].partition("\n<!-- /kills -->")[0]
    assert shown == table(read_stored()).splitlines()[0]


def test_what_is_kept_is_of_today_s_adapters() -> None:
    kept = read_stored()
    assert set(kept["adapters"]) <= set(bugs())
    changing = [adapter for adapter in ALL if adapter.__module__ != costly.__name__]
    assert len(kept["adapters"]) >= len(changing) - 2, "run the kill matrix again and keep it"
    assert all(set(columns) == set(kept["columns"]) for columns in kept["adapters"].values())
