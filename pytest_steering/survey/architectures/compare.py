"""What a new sweep found otherwise than the kept one: with another transformers, or after a change here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_steering.report.model import Verdict
from pytest_steering.survey.architectures.stored import Entry, Survey
from pytest_steering.survey.architectures.table import said

FACTS = {
    "class": "class",
    "layers_path": "layers path",
    "num_layers": "layers",
    "output_kind": "output kind",
    "anatomy": "anatomy",
}


class Change(StrEnum):
    """How a type differs from what was kept of it."""

    NEW = "new"
    GONE = "gone"
    BUILT = "built now"
    UNBUILT = "built no more"
    FOUND = "found now"
    LOST = "found no more"
    OTHERWISE = "found otherwise"
    BROKEN = "broke"
    MENDED = "mended"


WORSE = frozenset({Change.UNBUILT, Change.LOST, Change.OTHERWISE, Change.BROKEN})
"""The changes that a comparison fails for."""


@dataclass(frozen=True)
class Difference:
    """One line of a comparison."""

    change: Change
    text: str

    def __str__(self) -> str:
        return f"{self.change}: {self.text}"


def differences(kept: Survey, swept: Survey) -> list[Difference]:
    """What is new, gone, found otherwise, broken and mended, type by type."""
    before = {entry["spec"]: entry for entry in kept["types"]}
    after = {entry["spec"]: entry for entry in swept["types"]}
    return [
        difference
        for spec in sorted(before.keys() | after.keys())
        for difference in _of(spec, before.get(spec), after.get(spec))
    ]


def headline(kept: Survey, swept: Survey) -> str:
    """What is compared with what, in one line."""
    sides = [
        ", ".join(f"{name} {version}" for name, version in [*survey["versions"].items(), ("suite", survey["suite"])])
        for survey in (kept, swept)
    ]
    return f"kept: {sides[0]}; compared: {sides[1]}"


def _of(spec: str, old: Entry | None, new: Entry | None) -> Iterator[Difference]:
    if new is None:
        yield Difference(Change.GONE, spec)
        return
    step = Change.NEW if old is None else _step(old, new)
    if step is not None:
        yield Difference(step, f"{spec}: {new['error']}" if new["error"] else f"{spec} ({_verdicts(new)})")
    elif old is not None and new["layers_path"]:
        changed = [key for key in FACTS if old[key] != new[key]]
        if changed:
            facts = "; ".join(f"{FACTS[key]} {_fact(old[key])} -> {_fact(new[key])}" for key in changed)
            yield Difference(Change.OTHERWISE, f"{spec}: {facts}")
        for adapter in sorted(old["verdicts"].keys() & new["verdicts"].keys()):
            yield from _judged(f"{spec} with {adapter}", old["verdicts"][adapter], new["verdicts"][adapter])


def _step(old: Entry, new: Entry) -> Change | None:
    """Whether the model can be built or its layers be found, as they could not before, or the other way round."""
    if old["built"] != new["built"]:
        return Change.BUILT if new["built"] else Change.UNBUILT
    if bool(old["layers_path"]) != bool(new["layers_path"]):
        return Change.FOUND if new["layers_path"] else Change.LOST
    return None


def _judged(subject: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Difference]:
    """What fails and did not, and the other way round."""
    was, now = old.get("failed", {}), new.get("failed", {})
    refused, was_refused = (verdict["verdict"] == Verdict.ERROR for verdict in (new, old))
    if refused and not was_refused:
        yield Difference(Change.BROKEN, f"{subject}: {new.get('error', 'error')}")
    if refused:
        return
    broken = [name for name in now if name not in was]
    if broken:
        reasons = {now[name] for name in broken}
        said_once = reasons if len(reasons) == 1 else ()
        yield Difference(Change.BROKEN, ": ".join([subject, ", ".join(broken), *said_once]))
    mended = [name for name in was if name not in now and name not in new["not_applicable"]]
    if mended or (was_refused and not now):
        yield Difference(Change.MENDED, f"{subject}: {', '.join(mended) or 'conforms'}")


def _verdicts(entry: Entry) -> str:
    return ", ".join(f"{adapter} {said(entry, adapter)}" for adapter in entry["verdicts"])


def _fact(value: Any) -> str:
    return ("; ".join(value) or "plain") if isinstance(value, list) else str(value)
