"""The catalogue of requirements, read from the docstrings of the suite: one source for failure, report and README."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pytest_steering._version import SUITE_VERSION

MARKER = "steering_requirement"
ENGINES = "engine"
"""The group of requirements that are asked of engines; all others are asked of adapters."""
PARALLEL = "parallel"
"""The group of requirements that are asked where a model is spread over several processes."""
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
    core: bool = False
    """Any steering library must meet it."""
    parameters: tuple[str, ...] = ()
    """What its tests differ in, by name, beside the model and the adapter."""


@dataclass(frozen=True)
class Asked:
    """Which requirements a run asks: those of one version of the suite, in one of its profiles."""

    version: str = SUITE_VERSION
    profile: str = "full"
    """``core``: what any steering library must do; ``full``: everything."""
    engines: bool = False
    """Those that are asked of engines, and not of adapters."""
    parallel: bool = False
    """Also those that are asked of a model that is spread over several processes."""

    def __str__(self) -> str:
        """What a verdict says that a model conforms to: ``1.1``, ``1.1 core``."""
        return self.version if self.profile == "full" else f"{self.version} {self.profile}"

    @property
    def requirements(self) -> dict[str, Requirement]:
        """Those of them in the catalogue, by id."""
        return {name: each for name, each in catalogue().items() if self.asks(each)}

    def asks(self, requirement: Requirement) -> bool:
        """Whether a requirement is one of them; one that a project adds to the suite always is."""
        if (requirement.group == ENGINES) is not self.engines or (requirement.group == PARALLEL and not self.parallel):
            return False
        return not requirement.since or (
            _numbers(requirement.since) <= _numbers(self.version) and (requirement.core or self.profile != "core")
        )


PROFILES = ("full", "core")
SELECTED_BY = ("id", "group", "since", "core")
"""What ``-m "steering_requirement(…)"`` can ask of a requirement."""


def versions() -> list[str]:
    """Every version of the suite whose requirements can be asked."""
    return sorted({each.since for each in catalogue().values()} | {SUITE_VERSION}, key=_numbers)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


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
    rows = ["| requirement | what is true | needs | profile |", "|---|---|---|---|"]
    group = ""
    for requirement in catalogue().values():
        if requirement.group != group:
            group = requirement.group
            rows.append(f"| **{group}** | | | |")
        needs = ", ".join(need.lower().replace("_", " ") for need in requirement.needs) or "-"
        profile = "core" if requirement.core else "full"
        rows.append(f"| `{requirement.id}` | {requirement.sentence} | {needs} | {profile} |")
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
                    core=options.get("core", False),
                    parameters=tuple(_parameters(node)),
                )


def _parameters(node: ast.FunctionDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(".parametrize"):
            names = ast.literal_eval(decorator.args[0])
            yield from (name.strip() for name in (names.split(",") if isinstance(names, str) else names))
