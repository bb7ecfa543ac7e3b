"""The badge: what https://shields.io/endpoint reads. It says that a model conforms only where all of it was judged."""

from __future__ import annotations

from typing import Any

from pytest_steering.report.gaps import gaps, missing
from pytest_steering.report.model import Outcome, Record, Verdict

LABEL = "steering"


def unfinished() -> dict[str, Any]:
    """The badge of a run that goes on, or was cut short."""
    return _badge("did not finish", "lightgrey")


def badge(record: Record, *, succeeded: bool) -> dict[str, Any]:
    """The badge of a run; ``succeeded`` says that its exit status is 0."""
    rows = record.rows()
    verdicts = [row.verdict for row in rows]
    of = f" on {len(rows)}" if len(rows) > 1 else ""
    if not rows:
        return _badge("nothing was judged", "lightgrey")
    if Verdict.FAILS in verdicts or Verdict.ERROR in verdicts:
        bad = sum(verdict is not Verdict.CONFORMS for verdict in verdicts)
        word = "fails" if Verdict.FAILS in verdicts else "error:"
        return _badge(f"{word} {record.asked}" + (f" on {bad} of {len(rows)}" if of else ""), "red")
    if not succeeded:
        return _badge("the run failed", "red")
    if any(True for row in rows for _ in gaps(row)):
        left_out = max(len(missing(row)) for row in rows)
        count = len(record.asked.requirements)
        said = f"{count - left_out} of {count} requirements" if left_out else "not all that is declared"
        return _badge(f"judged in part: {said}", "lightgrey")
    known = {name for row in rows for name in row.ids(Outcome.KNOWN)}
    if known:
        return _badge(f"{record.asked}{of}, {len(known)} known failure{'s' if len(known) > 1 else ''}", "yellow")
    return _badge(f"conforms to {record.asked}{of}", "brightgreen")


def _badge(message: str, color: str) -> dict[str, Any]:
    return {"schemaVersion": 1, "label": LABEL, "message": message, "color": color}
