"""The table that an experiment ends with: every weakness, with intervals, and what it comes to in sentences."""

from __future__ import annotations

from pytest_steering.evaluation.groups import Group
from pytest_steering.evaluation.statistics import Interval
from pytest_steering.evaluation.summary import Summary

_HEAD = ("weakness", "scenarios", "says yes", "both files right", "shift (nats)", "largest random", "Holm p")


def table(summary: Summary) -> str:
    """The table and the sentences below it, for a terminal; intervals are 95%."""
    dose = summary.config.test_dose
    rows = [_HEAD, *(_row(summary, group, dose) for group in (*summary.cwes, summary.pooled))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    title = f"{summary.config.model_name}, layers {list(summary.layers)}, dose {dose:g} against none"
    return "\n".join([title, "", *lines, "", *summary.sentences(), *(f"note: {note}" for note in summary.notes)])


def _row(summary: Summary, group: Group, dose: float) -> tuple[str, ...]:
    steered = group.at(dose)
    random = group.random.get(dose, ())
    corrected = summary.corrected.get(group.name)
    p = "" if corrected is None else "underpowered" if corrected.corrected is None else f"{corrected.corrected:.2g}"
    return (
        group.name,
        str(group.scenarios),
        f"{group.baseline.yes_rate.estimate:.0%} → {steered.behaviour.yes_rate.estimate:.0%}",
        f"{_percent(group.baseline.pair_accuracy)} → {_percent(steered.behaviour.pair_accuracy)}",
        _nats(steered.shift.answer),
        f"{max(map(abs, random)):.2f}" if random else "",
        p,
    )


def _percent(found: Interval) -> str:
    if found.low is None or found.high is None:
        return f"{found.estimate:.0%}"
    return f"{found.estimate:.0%} [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _nats(found: Interval) -> str:
    if found.low is None or found.high is None:
        return f"{found.estimate:+.2f}"
    return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
