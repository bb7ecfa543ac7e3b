"""What was found in libraries as Markdown: a row for each library and group of models, and the causes below."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pytest_steering.survey.libraries.findings import UNEXPLAINED
from pytest_steering.survey.libraries.stored import Findings

_MANY = 5
"""More failing requirements than this of one cause are counted; the kept file names them all."""

_CLASS = re.compile(r"<class '[\w.]*?(\w+)'>")


def table(findings: Findings) -> str:
    """A row for the models of a library that fare alike, then one line for each cause."""
    rows = [row for library in findings["libraries"] for row in _rows(library)]
    lines = [f"| {' | '.join(row)} |" for row in (["library", "models", "verdict"], ["---"] * 3, *rows)]
    causes = [f"- `{name}`: {says}" for name, says in findings["causes"].items()]
    return "\n\n".join(["\n".join(lines), "\n".join(causes)])


def _rows(library: dict[str, Any]) -> Iterator[list[str]]:
    groups: dict[str, list[str]] = {}
    for spec, verdict in library["models"].items():
        groups.setdefault(_said(verdict), []).append(spec.removeprefix("tiny:"))
    versions = ", ".join(f"{name} {version}" for name, version in library["versions"].items() if name != "torch")
    name = f"`{library['adapter']}` {library['version']}".strip() + f" ({versions})"
    for said, models in groups.items():
        yield [name, ", ".join(models), said]
        name = ""


def _said(verdict: dict[str, Any]) -> str:
    if verdict["verdict"] == "refuses":
        return f"refuses: {_refusal(verdict['reason'])}"
    if verdict["verdict"] == "conforms":
        return "conforms"
    return "fails: " + "; ".join(
        f"{_ids(ids)} ({f'`{cause}`' if cause != UNEXPLAINED else cause})" for cause, ids in verdict["failed"].items()
    )


def _refusal(reason: str) -> str:
    """The reason without the class of the model, so that models which are refused alike stand together."""
    text = _CLASS.sub(r"\1", reason.partition(": ")[2] or reason)
    return text.replace("|", "\\|").replace("<", "\\<")


def _ids(ids: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in ids[:_MANY])
    return shown if len(ids) <= _MANY else f"{shown} and {len(ids) - _MANY} more"
