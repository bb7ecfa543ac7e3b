"""What was found in every architecture, as Markdown: a paragraph of counts, a table, and the reasons below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_steering.report.model import Verdict
from pytest_steering.survey.architectures.stored import Entry, Survey

_MANY = 3
"""More failing requirements than this are counted in the table, and named below it."""


def table(survey: Survey) -> str:
    """The counts, a row per model type, and a line for each that does not conform."""
    adapters = adapters_of(survey)
    head = ["type", "class", "layers path", "output kind", "anatomy", *adapters]
    rows = [_row(entry, adapters) for entry in survey["types"]]
    reasons = [f"- {line}" for entry in survey["types"] for line in _reasons(entry)]
    parts = [counts(survey), "\n".join(map(_cells, [head, ["---"] * len(head), *rows]))]
    return "\n\n".join([*parts, "\n".join(reasons)] if reasons else parts)


def counts(survey: Survey) -> str:
    """How many types there are, could be built, were found, and conform by adapter, in one paragraph."""
    types = survey["types"]
    built = sum(entry["built"] for entry in types)
    found = sum(bool(entry["layers_path"]) for entry in types)
    versions = ", ".join(f"{name} {version}" for name, version in survey["versions"].items())
    conforming = " and ".join(f"{_conforming(types, adapter)} with {adapter}" for adapter in adapters_of(survey))
    kinds = len({entry["type"] for entry in types})
    return (
        f"With {versions}: {len(types)} models of {kinds} types, of which {built} can be built small. "
        f"The decoder layers of {found} are found, and {conforming} conform to suite {survey['suite']}."
    )


def adapters_of(survey: Survey) -> list[str]:
    """The adapters that were judged."""
    return sorted({adapter for entry in survey["types"] for adapter in entry["verdicts"]})


def said(entry: Entry, adapter: str) -> str:
    """The verdict on a type under an adapter in a few words; the whole reason is told elsewhere."""
    verdict = entry["verdicts"].get(adapter)
    if verdict is None:
        return "-"
    if not entry["layers_path"]:
        return "refused: no decoder layers" if entry["built"] else "refused: not built"
    if verdict["verdict"] != Verdict.FAILS:
        return "refused" if verdict["verdict"] == Verdict.ERROR else Verdict.CONFORMS.value
    failed = list(verdict["failed"])
    return f"fails: {', '.join(failed) if len(failed) <= _MANY else f'{len(failed)} requirements'}"


def _conforming(types: list[Entry], adapter: str) -> int:
    return sum(entry["verdicts"].get(adapter, {}).get("verdict") == Verdict.CONFORMS for entry in types)


def _row(entry: Entry, adapters: list[str]) -> list[str]:
    anatomy = "; ".join(entry["anatomy"]) or "plain"
    return [
        f"`{entry['spec'].removeprefix('tiny:')}`",
        f"`{entry['class']}`" if entry["class"] else "-",
        f"`{entry['layers_path']}` × {entry['num_layers']}" if entry["layers_path"] else "-",
        entry["output_kind"] or "-",
        anatomy if entry["layers_path"] else "-",
        *(said(entry, adapter) for adapter in adapters),
    ]


def _cells(row: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _reasons(entry: Entry) -> Iterator[str]:
    if entry["error"]:
        yield f"`{entry['spec']}`: {entry['error']}"
        return
    for adapter, verdict in entry["verdicts"].items():
        if verdict["verdict"] == Verdict.CONFORMS:
            continue
        for reason, ids in _by_reason(verdict).items():
            of = f"{', '.join(ids)}: " if ids else ""
            yield f"`{entry['spec']}` with {adapter}: {of}{reason}"


def _by_reason(verdict: dict[str, Any]) -> dict[str, list[str]]:
    """The failing requirements by the reason that they share."""
    found: dict[str, list[str]] = {verdict["error"]: []} if "error" in verdict else {}
    for name, reason in verdict.get("failed", {}).items():
        found.setdefault(reason, []).append(name)
    return found
