"""The report on the terminal: a block per model and adapter, and a last line that says it all.

A sweep over hundreds of them shows the blocks of those that do not conform, and ends with the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pytest

from pytest_steering.architecture.facts import found
from pytest_steering.engines.capability import EngineCapability
from pytest_steering.errors import printable
from pytest_steering.report.gaps import missing, unjudged
from pytest_steering.report.model import Outcome, Record, Row, Verdict
from pytest_steering.steering.capability import Capability

FAILING = (Outcome.FAILED, Outcome.ERROR)

SWEEP = 20
"""More models and adapters than this are a sweep."""
_MANY = 8
"""More requirements than this, all for one reason, are not listed by name."""


def show(terminal: pytest.TerminalReporter, record: Record, stale: Iterable[str]) -> None:
    """The blocks, then the verdicts, then what is to be tidied up."""
    rows = record.rows()
    if not rows:
        return
    sweep = len(rows) > SWEEP
    for row in rows:
        if sweep and row.verdict is Verdict.CONFORMS:
            continue
        terminal.write_sep("-", printable(f"{row.spec} with {row.title}"))
        for line in block(row):
            terminal.write_line(printable(line))
    terminal.write_sep("-", "steering")
    for row in rows:
        colour = "green" if row.verdict is Verdict.CONFORMS else "red"
        terminal.write_line(printable(verdict(row)), **{colour: True})
    if sweep:
        terminal.write_line(tally(rows))
    for sentence in stale:
        terminal.write_line(sentence, red=True)


def block(row: Row) -> Iterator[str]:
    """What was found in the model, and a line per group of requirements."""
    if row.model.architecture is not None:
        yield found(row.model.architecture)
        yield from (f"note: {note}" for note in row.model.architecture.get("notes", ()))
    yield from (f"note: {note}" for note in row.model.notes)
    declared = row.model.declared.get(row.adapter)
    promises = len(EngineCapability if row.asked.engines else Capability)
    if declared is not None and len(declared) < promises:
        yield f"declares {len(declared)} of {promises} capabilities: {', '.join(declared) or 'none'}"
    groups = dict.fromkeys(result.group for result in row.results)
    width = max(map(len, groups))
    for group in groups:
        part = replace(row, results=tuple(result for result in row.results if result.group == group))
        yield f"{group:{width}}  {counts(part)}"
    if precision := row.model.precision.get(row.adapter):
        yield (
            f"unsteered, log-probabilities are off by {precision['apart']:.1e} nats; the least bug that must show "
            f"moves them by {precision['effect']:.1e}"
        )
    yield from costs(row)
    effects = row.model.effects.get(row.adapter, {})
    if effects:
        moved = [each for each in effects.values() if (each["low"] or 0) > 0 or (each["high"] or 0) < 0]
        nats = sorted(each["nats"] for each in effects.values())
        yield (
            f"a trained direction moves the answer by {nats[0]:+.2g} to {nats[-1]:+.2g} nats, beyond chance in "
            f"{len(moved)} of {len(effects)} weaknesses (95% intervals in the report)"
        )
    if row.explanation.text:
        yield f"likely: {row.explanation.text}"


def costs(row: Row) -> Iterator[str]:
    """What steering costs: what was counted of a decode step, and what a clock says, with its interval."""
    counted = {name: figure for result in row.results for name, figure in result.measured.items()}
    said = [
        f"{counted[name]:+} {word}"
        for name, word in (
            ("decode_operations", "operations"),
            ("decode_synchronisations", "synchronisations"),
            ("decode_bytes", "bytes"),
        )
        if name in counted
    ]
    if said:
        yield f"a steered decode step costs {', '.join(said)}"
    for what, cost in row.model.overhead.get(row.adapter, {}).items():
        if {"ratio", "low", "high"} <= cost.keys():
            yield (
                f"steered by unsteered time, {what}: {cost['ratio']:.2f} (99% interval {cost['low']:.2f} to "
                f"{cost['high']:.2f})"
            )


def verdict(row: Row) -> str:
    """The one line that says it all."""
    who = f"{row.spec} with {row.title}"
    if row.verdict is Verdict.ERROR:
        return f"{who}: error: {row.error}"
    said = f"conforms to {row.asked}" if row.verdict is Verdict.CONFORMS else f"fails {row.asked}"
    left_out = missing(row)
    if left_out:
        said += f" as far as it ran, {len(left_out)} of {len(row.asked.requirements)} requirements left out"
    elif promised := unjudged(row):
        said += f", nothing of {', '.join(promised)} could be judged"
    return f"{who}: {said} ({counts(row)})"


def tally(rows: Sequence[Row]) -> str:
    """How many conform, fail, and could not be judged, in one line."""
    verdicts = Counter(row.verdict for row in rows)
    words = {Verdict.CONFORMS: "conform", Verdict.FAILS: "fail", Verdict.ERROR: "error"}
    said = [f"{verdicts[which]} {word}" for which, word in words.items() if verdicts[which]]
    return f"{len(rows)} subjects: {', '.join(said)}"


def counts(row: Row) -> str:
    """Tests that passed, and by name the requirements that did not."""
    parts = [f"{len(row.having(Outcome.PASSED))} passed"]
    for word, ids in (
        ("failed", row.ids(*FAILING)),
        ("known", row.ids(Outcome.KNOWN)),
        ("n.a.", row.not_applicable),
    ):
        if len(ids) > _MANY and len(reasons := _reasons(row, ids)) == 1:
            parts.append(f"{len(ids)} {word}: {reasons.pop()}")
        elif ids:
            parts.append(f"{len(ids)} {word}: {', '.join(ids)}")
    return ", ".join(parts)


def _reasons(row: Row, ids: list[str]) -> set[str]:
    return {result.reason for result in row.results if result.id in ids}
