"""What the page shows of one model under one adapter, put together from the report's document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_steering.architecture.facts import found
from pytest_steering.report.page import plots
from pytest_steering.suite.catalogue import Asked, catalogue

Entry = Mapping[str, Any]

WORDS = {
    "passed": "passed",
    "failed": "failed",
    "error": "error",
    "known": "known failure",
    "not_applicable": "not applicable",
    "left_out": "did not run",
}
SIGNS = {"passed": "✓", "failed": "✗", "error": "!", "known": "~", "not_applicable": "-", "left_out": "·"}
_WORST = ("error", "failed", "known", "passed", "not_applicable")
_BAD = ("failed", "error")
SHOWN = 40
"""Failing tests of one requirement that are shown."""


@dataclass(frozen=True)
class Asking:
    """One requirement, and what became of all its tests."""

    id: str
    group: str
    sentence: str
    outcome: str
    tests: tuple[Entry, ...]

    @property
    def word(self) -> str:
        """The outcome in words."""
        return WORDS[self.outcome]

    @property
    def sign(self) -> str:
        """The outcome as a sign."""
        return SIGNS[self.outcome]

    @property
    def bad(self) -> list[Entry]:
        """The tests that failed."""
        return [test for test in self.tests if test["outcome"] in _BAD]

    @property
    def reason(self) -> str:
        """Why it is not applicable, or a known failure; empty for others."""
        return next((test["reason"] for test in self.tests if test["outcome"] == self.outcome and test["reason"]), "")

    @property
    def seconds(self) -> float:
        """How long all its tests took."""
        return sum(float(test["seconds"]) for test in self.tests)

    @property
    def measured(self) -> list[tuple[str, str]]:
        """The measured figures of its tests, each by name."""
        return [
            (str(name), f"{value:,.6g}" if isinstance(value, int | float) else str(value))
            for test in self.tests
            for name, value in test.get("measured", {}).items()
        ]


@dataclass(frozen=True)
class Cells:
    """Tokens of one batch: a row of states for each of its rows."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    prompt: int

    @property
    def wrong(self) -> int:
        """How many tokens were steered and should not be, or the other way round."""
        return sum(state in ("missed", "extra") for row in self.rows for state in row)

    @property
    def says(self) -> str:
        """The picture in words."""
        flat = [state for row in self.rows for state in row]
        names = {
            "steered": "steered as asked",
            "missed": "not steered",
            "extra": "steered and should not be",
            "left": "left alone",
            "padding": "padding, left alone",
        }
        return ", ".join(f"{flat.count(state)} {name}" for state, name in names.items() if state in flat)


@dataclass(frozen=True)
class Bar:
    """Steered by unsteered time."""

    name: str
    ratio: float
    says: str


@dataclass(frozen=True)
class Subject:
    """A model under an adapter."""

    anchor: str
    entry: Entry
    asked: Asked
    compared: tuple[str, ...]
    """Sentences of the comparison with a baseline."""

    @property
    def who(self) -> str:
        """The model and the adapter."""
        return f"{self.entry['spec']} with {self.entry['adapter']}"

    @property
    def state(self) -> str:
        """``conforms``, ``partly`` (nothing failed, and something was not judged), ``fails`` or ``error``."""
        verdict = str(self.entry["verdict"])
        return "partly" if verdict == "conforms" and self.entry.get("gaps") else verdict

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        failing = len(self.failing)
        return {
            "conforms": f"Conforms to {self.asked}",
            "partly": f"Conforms to {self.asked} as far as it was judged",
            "fails": f"Fails {self.asked}: {failing} requirement{'s' if failing != 1 else ''}",
            "error": "Could not be judged",
        }[self.state]

    @property
    def error(self) -> str:
        """Why nothing could be judged."""
        reasons = (str(test["reason"]) for test in self.entry["requirements"] if test["outcome"] == "error")
        return next(reasons, "no requirement was applicable") if self.state == "error" else ""

    @property
    def found(self) -> str:
        """What was found in the model, in a line."""
        return found(self.entry["architecture"]) if self.entry["architecture"] else ""

    @property
    def cause(self) -> str:
        """The likely cause of most failures, as the failures say it."""
        cause = self.entry.get("cause")
        for test in self.entry["requirements"]:
            if cause and test.get("cause") == cause and "; likely: " in test["reason"]:
                return str(test["reason"].partition("; likely: ")[2])
        return str(cause or "")

    @property
    def requirements(self) -> list[Asking]:
        """Every requirement that was asked, and those that a project added, in the order of the suite."""
        tests: dict[str, list[Entry]] = {}
        for test in self.entry["requirements"]:
            tests.setdefault(test["id"], []).append(test)
        known = catalogue()
        groups = {name: known[name].group for name in self.asked.requirements}
        groups |= {name: str(each[0]["group"]) for name, each in tests.items()}
        places = {group: place for place, group in enumerate(dict.fromkeys(groups.values()))}
        return [
            Asking(
                name,
                groups[name],
                known[name].sentence if name in known else "",
                next(
                    (word for word in _WORST if any(test["outcome"] == word for test in tests.get(name, ()))),
                    "left_out",
                ),
                tuple(tests.get(name, ())),
            )
            for name in sorted(groups, key=lambda name: places[groups[name]])
        ]

    @property
    def groups(self) -> dict[str, list[Asking]]:
        """The requirements by group."""
        found: dict[str, list[Asking]] = {}
        for each in self.requirements:
            found.setdefault(each.group, []).append(each)
        return found

    @property
    def failing(self) -> list[Asking]:
        """The requirements that failed: those that show what explains the most come first."""
        cause = self.entry.get("cause")
        bad = [each for each in self.requirements if each.outcome in _BAD]
        return sorted(bad, key=lambda each: not (cause and each.bad[0].get("cause") == cause))

    @property
    def tally(self) -> list[tuple[str, int]]:
        """How many requirements have each outcome."""
        outcomes = [each.outcome for each in self.requirements]
        return [(word, outcomes.count(word)) for word in WORDS if word in outcomes]

    def figures(self, kind: str, *ids: str) -> list[tuple[Entry, Entry]]:
        """Each figure of a kind, behind its test; of some requirements alone where any are named."""
        return [
            (test, figure)
            for test in self.entry["requirements"]
            if not ids or test["id"] in ids
            for figure in test.get("figures", ())
            if figure["kind"] == kind
        ]

    @property
    def plots(self) -> list[plots.Plot]:
        """What was measured, as pictures with axes."""
        arriving: dict[str, list[tuple[float, Sequence[float]]]] = {}
        for _, figure in self.figures("arrival", "scale-is-linear", "exact-delta", "seed-dose"):
            if figure["prompt"] == len(figure["asked"][0]) and figure["positions"] == "all":
                values = [
                    value
                    for row, asked in zip(figure["arriving"], figure["asked"], strict=True)
                    for value, is_asked in zip(row, asked, strict=True)
                    if is_asked and value is not None
                ]
                points = arriving.setdefault(f"layer {figure['layer']}", [])
                if all(scale != figure["scale"] for scale, _ in points):
                    points.append((figure["scale"], values))
        moved = {f"layer {figure['layer']} steered": figure for _, figure in self.figures("layers")}
        found = [
            plots.scales(dict(sorted(arriving.items()))),
            *(
                plots.response(f"token {figure['token']}, layer {figure['layer']}", figure["scales"], figure["levels"])
                for _, figure in self.figures("response")[:1]
            ),
            plots.layers(
                {name: figure["steered"] for name, figure in moved.items()},
                {name: figure["expected"] for name, figure in moved.items()},
            ),
        ]
        return [plot for plot in found if plot is not None]

    @property
    def tokens(self) -> list[Cells]:
        """Which tokens of the batch were steered: for every kind of positions, and beside padding on either side."""
        found: dict[str, Cells] = {}
        for test, figure in self.figures("arrival", "only-these-positions", "padding-untouched"):
            side = test["params"].get("side", "")
            run = test["params"].get("run", "forward")
            name = f"padding on the {side}" if side else f"positions {figure['positions']}, {run}"
            found.setdefault(name, _cells(name, figure))
        return list(found.values())

    @property
    def bars(self) -> list[Bar]:
        """Steered by unsteered time."""
        return [
            Bar(
                name,
                float(each["ratio"]),
                f"{1e3 * each['steered_seconds']:.3g} ms steered, {1e3 * each['unsteered_seconds']:.3g} ms unsteered"
                if "steered_seconds" in each
                else "",
            )
            for name, each in self.entry["overhead"].items()
            if isinstance(each, Mapping) and isinstance(each.get("ratio"), int | float)
        ]


def _cells(title: str, figure: Entry) -> Cells:
    padding = figure["padding"] or [[0] * len(row) for row in figure["asked"]]

    def state(asked: int, moved: int, pad: int) -> str:
        if moved:
            return "steered" if asked else "extra"
        if asked:
            return "missed"
        return "padding" if pad else "left"

    rows = zip(figure["asked"], figure["moved"], padding, strict=True)
    return Cells(title, tuple(tuple(map(state, *row)) for row in rows), int(figure["prompt"]))
