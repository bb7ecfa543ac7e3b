"""The file that stores what was found in engines: from reports to a line for each engine and checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pytest_steering.report.model import Outcome
from pytest_steering.survey.architectures.sweep import read_reports, versions_of
from pytest_steering.survey.files import DATA, SurveyError, read_document, write_json

SCHEMA: Final = 1
STORED: Final = DATA / "engines.json"

Judged = dict[str, Any]
"""``schema``, ``suite`` and ``engines``: for each its versions and, by checkpoint and dtype, what was found."""


def read_engines(paths: Sequence[Path]) -> Judged:
    """What the reports say of each engine, in the order in which they are named; of two on one checkpoint the later
    counts."""
    engines: dict[str, dict[str, Any]] = {}
    suite, reports = read_reports(paths)
    for _, report in reports:
        for model in report["models"]:
            if model.get("kind") == "engine":
                engine = engines.setdefault(
                    model["adapter"], {"versions": versions_of(report)["versions"], "models": {}}
                )
                subject = f"{Path(model['spec']).name if '/' in model['spec'] else model['spec']}, {model['device']}"
                engine["models"][subject] = _found(model)
    if not engines:
        raise SurveyError(f"{', '.join(map(str, paths))}: no engine was judged in it")
    return {"schema": SCHEMA, "suite": suite, "engines": engines}


def read_stored(path: Path = STORED) -> Judged:
    """What is stored."""
    return read_document(
        path, SCHEMA, lambda found: "engines" in found, f"holds no findings about engines of schema {SCHEMA}"
    )


def write_stored(found: Judged, path: Path = STORED) -> None:
    """The findings are at ``path``."""
    write_json(path, found)


def _found(model: dict[str, Any]) -> dict[str, Any]:
    """The verdict on one checkpoint, and how precise the engine is on it: both in nats."""

    def ids(*outcomes: Outcome) -> list[str]:
        found = (result["id"] for result in model["requirements"] if result["outcome"] in outcomes)
        return list(dict.fromkeys(found))

    precision = {name: float(f"{value:.2g}") for name, value in model.get("precision", {}).items()}
    passed = sum(result["outcome"] == Outcome.PASSED for result in model["requirements"])
    reasons = [result["reason"] for result in model["requirements"] if result["outcome"] == Outcome.ERROR]
    return {
        "verdict": model["verdict"],
        "passed": passed,
        "failed": ids(Outcome.FAILED),
        "not_applicable": ids(Outcome.NOT_APPLICABLE),
        "reason": reasons[0] if reasons else "",
        **precision,
    }
