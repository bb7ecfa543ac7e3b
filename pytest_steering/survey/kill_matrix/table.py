"""The kill matrix as Markdown."""

from __future__ import annotations

from collections import Counter

from pytest_steering.suite.catalogue import Asked
from pytest_steering.survey.kill_matrix.stored import Matrix, bugs


def table(matrix: Matrix) -> str:
    """The counts, a row for each known-bad adapter, and how many of them break each requirement."""
    columns, known = matrix["columns"], bugs()
    head = ["known-bad adapter", "what is wrong", *columns]
    rows = [
        [f"`{name}`", known.get(name, "-"), *(_cell(broken.get(column)) for column in columns)]
        for name, broken in matrix["adapters"].items()
    ]
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n\n".join([counts(matrix), "\n".join(lines), _by_requirement(matrix)])


def counts(matrix: Matrix) -> str:
    """How many are caught on each model, in one paragraph."""
    adapters = matrix["adapters"]
    caught = [
        f"{sum(bool(broken.get(column)) for broken in adapters.values())} of "
        f"{sum(column in broken for broken in adapters.values())} on {column}"
        for column in matrix["columns"]
    ]
    return f"{len(adapters)} known-bad adapters; caught are {', '.join(caught)}.{_otherwise(matrix)}"


def _otherwise(matrix: Matrix) -> str:
    """Which of them ran with other versions than the rest."""
    runs: dict[str, list[str]] = {}
    for name, versions in matrix["otherwise"].items():
        said = ", ".join(f"{package} {version}" for package, version in versions.items())
        runs.setdefault(said, []).append(f"`{name}`")
    rest = ", ".join(f"{package} {version}" for package, version in matrix["versions"].items())
    return "".join(f" {', '.join(names)} ran with {said}, the others with {rest}." for said, names in runs.items())


def _cell(broken: list[str] | None) -> str:
    if broken is None:
        return ""
    return str(len(broken)) if broken else "missed"


def _by_requirement(matrix: Matrix) -> str:
    broken = Counter(
        name
        for columns in matrix["adapters"].values()
        for name in {name for found in columns.values() for name in found}
    )
    return "Broken by so many of them: " + ", ".join(f"`{name}` {broken[name]}" for name in Asked().requirements)
