"""The catalogue of requirements, read from the docstrings of the suite: one source for failure, report and README."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MARKER = "steering_requirement"
FIRST = "1.0"
"""The version of the suite that a requirement is part of since, where it says nothing."""


@dataclass(frozen=True)
class Requirement:
    """One requirement: its id, its group, and the sentence that says what is true when it is met."""

    id: str
    group: str
    sentence: str
    needs: tuple[str, ...]
    since: str
    nodeid: str


def suite_directory() -> Path:
    """The bundled suite: below the package in a wheel, beside it in the checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conformance"
    return inside if inside.is_dir() else package.parent / "conformance"


def fixtures_directory() -> Path:
    """The fixtures, which lie beside the suite."""
    return suite_directory().with_name("fixtures")


@cache
def catalogue() -> dict[str, Requirement]:
    """Every requirement by id, in the order of the suite; nothing is imported to know them."""
    found: dict[str, Requirement] = {}
    for path in sorted(suite_directory().glob("test_*.py")):
        for requirement in _in_file(path):
            if requirement.id in found:
                raise ValueError(f"requirement {requirement.id!r} has two tests: one requirement, one test")
            found[requirement.id] = requirement
    return found


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring on one line, without its full stop."""
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    return paragraph.split(". ")[0].removesuffix(".")


def table() -> str:
    """The requirements as a Markdown table, for the README."""
    rows = ["| requirement | what is true | needs |", "|---|---|---|"]
    group = ""
    for requirement in catalogue().values():
        if requirement.group != group:
            group = requirement.group
            rows.append(f"| **{group}** | | |")
        needs = ", ".join(need.lower().replace("_", " ") for need in requirement.needs) or "-"
        rows.append(f"| `{requirement.id}` | {requirement.sentence} | {needs} |")
    return "\n".join(rows)


def _in_file(path: Path) -> Iterator[Requirement]:
    group = path.stem.removeprefix("test_").replace("_", "-")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(f".{MARKER}"):
                options: dict[str, Any] = {
                    keyword.arg: ast.literal_eval(keyword.value) for keyword in decorator.keywords if keyword.arg
                }
                docstring = ast.get_docstring(node)
                if not docstring:
                    raise ValueError(f"{path.name}::{node.name} states no requirement: it has no docstring")
                yield Requirement(
                    id=options["id"],
                    group=group,
                    sentence=first_sentence(docstring),
                    needs=tuple(options.get("needs", ())),
                    since=options.get("since", FIRST),
                    nodeid=f"conformance/{path.name}::{node.name}",
                )
