"""The JSON report: schema 1, described by ``schema.json`` beside this file."""

from __future__ import annotations

import contextlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pytest_steering.report.gaps import gaps
from pytest_steering.report.model import Record, Result, Row
from pytest_steering.report.text import clean
from pytest_steering.report.writing import write_text

SCHEMA = 1
PACKAGES = ("pytest-steering", "pytest", "torch", "transformers", "nnsight")


def as_json(record: Record, *, complete: bool = True) -> dict[str, Any]:
    """The whole record, as the schema has it; not ``complete`` when the run was cut short."""
    rows = record.rows()
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "suite": record.asked.version,
        "profile": record.asked.profile,
        "complete": complete,
        "environment": {
            "versions": {"python": platform.python_version(), **_versions()},
            "platform": platform.platform(),
            "device": ", ".join(dict.fromkeys(row.model.device for row in rows if row.model.device)),
        },
        "models": [_model(row) for row in rows],
    }
    return dict(clean(document))


def write(path: Path, document: dict[str, Any]) -> None:
    """The document is at ``path``, whole, or what was there before still is."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _model(row: Row) -> dict[str, Any]:
    return {
        "spec": row.spec,
        "adapter": row.title,
        "adapter_name": row.adapter,
        "device": row.model.device,
        "notes": row.model.notes,
        "kind": "engine" if row.asked.engines else "adapter",
        "verdict": row.verdict.value,
        "cause": row.explanation.cause,
        "gaps": list(gaps(row)),
        "declared": row.model.declared.get(row.adapter, []),
        "architecture": row.model.architecture,
        "requirements": [_requirement(result) for result in row.results],
        "cost": {
            "forward_passes": sum(result.forward_passes for result in row.results),
            "forward_tokens": sum(result.forward_tokens for result in row.results),
            "seconds": round(sum(result.seconds for result in row.results), 3),
            "load_seconds": row.model.load_seconds,
            "peak_bytes": row.model.peak_bytes,
        },
        "overhead": row.model.overhead.get(row.adapter, {}),
        "precision": row.model.precision.get(row.adapter, {}),
        "space": row.model.space.get(row.adapter, {}),
        "effects": row.model.effects.get(row.adapter, {}),
    }


def _requirement(result: Result) -> dict[str, Any]:
    return {
        "id": result.id,
        "group": result.group,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "cause": result.cause,
        "program": result.program,
        "rerun": result.rerun,
        "figures": result.figures,
        "measured": result.measured,
        "params": result.params,
        "nodeid": result.nodeid,
        "seconds": round(result.seconds, 4),
        "forward_passes": result.forward_passes,
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
