"""The files that ``--steering-report`` writes: what is in each is said by how its name ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_steering.report import json_report
from pytest_steering.report.writing import write_text

BADGE = ".badge.json"
KINDS = (".json", ".html", BADGE)


def is_badge(path: str) -> bool:
    """Whether this report is a badge."""
    return path.endswith(BADGE)


def write_report(path: Path, document: dict[str, Any]) -> None:
    """The document is at ``path``, as a page or as JSON: whole, or what was there before still is."""
    if path.suffix == ".html":
        from pytest_steering.report.page import render  # noqa: PLC0415 (a run without a page needs no Jinja2)

        write_text(path, render(document))
    else:
        json_report.write(path, document)
