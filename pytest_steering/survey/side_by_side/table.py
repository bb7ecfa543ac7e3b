"""What was measured side by side, as a Markdown table and as a picture."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, Final

from pytest_steering.survey.files import DATA, read_document, write_json

STORED: Final = DATA / "side_by_side.json"
PICTURE: Final = DATA / "side_by_side.svg"
_BAR, _LEFT, _WIDE = 18, 190, 520
_MOST = 4.0
"""The largest ratio that is drawn to scale."""


def read_stored(path: Path = STORED) -> dict[str, Any]:
    """What is stored."""
    return read_document(path, 1, lambda document: "adapters" in document, "is no measurement of schema 1")


def write_stored(document: dict[str, Any], path: Path = STORED, picture: Path = PICTURE) -> None:
    """The measurement is at ``path``, and its picture beside it."""
    write_json(path, document)
    picture.write_text(drawn(document), encoding="utf-8")


def table(document: dict[str, Any]) -> str:
    """A row for each adapter: ratios with their intervals, and what a decode step of eight rows counts."""
    columns = _columns(document)
    head = ["steered by unsteered time", *columns, "operations, readings, bytes more"]
    rows = [head, ["---"] * len(head)]
    absent = []
    for name, entry in document["adapters"].items():
        if "ratios" not in entry:
            absent.append(f"`{name}` ({entry.get('reason', 'not measured')})")
            continue
        counts = entry.get("counts")
        more = ", ".join(str(counts[name]) for name in ("operations", "synchronisations", "bytes")) if counts else "-"
        rows.append([name, *(_cell(entry, column) for column in columns), more])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    lines += [
        "",
        f"`{document['model']}` on {document['device']}; {versions}; {document['pairs']} pairs, 99% intervals.",
    ]
    return "\n".join(lines + ([f"Not measured: {'; '.join(absent)}."] if absent else []))


def drawn(document: dict[str, Any]) -> str:
    """The ratios of decode steps as bars, with their intervals; the line is one."""
    bars = [
        (f"{name}, {column}", entry["ratios"][column])
        for column in _columns(document)
        if " decode " in column
        for name, entry in document["adapters"].items()
        if column in entry.get("ratios", {})
    ]
    height = _BAR * len(bars) + 10
    one = _at(1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDE + 60}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>Steered by unsteered time of decode steps: {escape(document['model'])}</title>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (name, found) in enumerate(bars):
        y = _BAR * number + 5
        low, middle, high = (_at(found[key]) for key in ("low", "ratio", "high"))
        parts += [
            f'<text x="{_LEFT - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y + 3}" width="{middle - _LEFT:.1f}" height="11" fill="#6a9fd4"/>',
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y + 8.5}" y2="{y + 8.5}" stroke="black"/>',
            f'<text x="{max(high, middle) + 4:.1f}" y="{y + 12}">{found["ratio"]:.2f}</text>',
        ]
    parts += [f'<line x1="{one:.1f}" x2="{one:.1f}" y1="0" y2="{height}" stroke="#b00"/>', "</svg>"]
    return "\n".join(parts) + "\n"


def _columns(document: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(key for each in document["adapters"].values() for key in each.get("ratios", {})))


def _cell(entry: dict[str, Any], column: str) -> str:
    found = entry.get("ratios", {}).get(column)
    return "-" if found is None else f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def _at(ratio: float) -> float:
    return _LEFT + _WIDE * min(ratio, _MOST) / _MOST
