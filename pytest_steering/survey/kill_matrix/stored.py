"""The kill matrix: for each known-bad adapter and each model, the requirements that it breaks."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pytest_steering.report.model import Outcome
from pytest_steering.suite.catalogue import first_sentence, fixtures_directory
from pytest_steering.survey.architectures.sweep import read_report, versions_of
from pytest_steering.survey.files import DATA, SurveyError, read_document, write_json

SCHEMA: Final = 1
STORED: Final = DATA / "kill_matrix.json"

Matrix = dict[str, Any]
"""``schema``, ``versions``, ``suite``, ``columns``, ``otherwise`` and ``adapters``: what each breaks, by column.

``otherwise`` has the versions of the adapters that ran with others than the first report's.
"""


def read_kills(paths: Sequence[Path]) -> Matrix:
    """What the reports say of known-bad adapters; a column is a model in a floating-point type."""
    columns: list[str] = []
    adapters: dict[str, dict[str, list[str]]] = {}
    known, head = bugs(), versions_of(read_report(paths[0]))
    otherwise: dict[str, dict[str, str]] = {}
    for path in paths:
        report = read_report(path)
        versions = versions_of(report)["versions"]
        dtype = report["environment"]["device"].rpartition(" ")[2]
        for model in report["models"]:
            if model["adapter"] not in known:
                continue
            column = model["spec"] if dtype == "float32" else f"{model['spec']} {dtype}"
            if column not in columns:
                columns.append(column)
            broken = {
                result["id"] for result in model["requirements"] if result["outcome"] in (Outcome.FAILED, Outcome.ERROR)
            }
            adapters.setdefault(model["adapter"], {})[column] = sorted(broken)
            if versions != head["versions"]:
                otherwise[model["adapter"]] = versions
    if not adapters:
        raise SurveyError(f"{', '.join(map(str, paths))}: there is no known-bad adapter in it")
    ordered = {name: adapters[name] for name in known if name in adapters}
    return {"schema": SCHEMA, **head, "columns": columns, "otherwise": otherwise, "adapters": ordered}


def read_stored(path: Path = STORED) -> Matrix:
    """The matrix that is stored."""
    return read_document(path, SCHEMA, lambda matrix: "adapters" in matrix, f"is no kill matrix of schema {SCHEMA}")


def write_stored(matrix: Matrix, path: Path = STORED) -> None:
    """The matrix is at ``path``."""
    write_json(path, matrix)


def bugs() -> dict[str, str]:
    """Every known-bad adapter of the fixtures, with the sentence that says what is wrong with it."""
    found = {}
    for path in sorted(fixtures_directory().joinpath("known_bad").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            named = isinstance(node, ast.ClassDef) and any(
                isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) in ("breaks", "target")
                for part in node.body
            )
            if named and isinstance(node, ast.ClassDef):
                found[node.name] = first_sentence(ast.get_docstring(node) or "")
    return found
