"""What a new sweep found otherwise than the kept one: with another transformers, or after a change here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_steering.report.model import Verdict
from pytest_steering.survey.kept import Entry, Survey
from pytest_steering.survey.table import said

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
    if old is None or new is None:
        present = new or old or {}
        verdicts = ", ".join(f"{adapter} {said(present, adapter)}" for adapter in present["verdicts"])
        yield Difference(Change.GONE if new is None else Change.NEW, f"{spec} ({verdicts})" if new else spec)
        return
    step = _step(old, new)
    if step is not None:
        yield Difference(step, f"{spec}: {new['error']}" if new["error"] else spec)
    elif new["layers_path"]:
        changed = [key for key in FACTS if old[key] != new[key]]
        facts = [f"{FACTS[key]} {_fact(old[key])} -> {_fact(new[key])}" for key in changed]
        if facts:
            yield Difference(Change.OTHERWISE, f"{spec}: {'; '.join(facts)}")
    if new["layers_path"]:
        for adapter in sorted(old["verdicts"].keys() & new["verdicts"].keys()):
            yield from _judged(f"{spec} with {adapter}", old["verdicts"][adapter], new["verdicts"][adapter], step)


def _step(old: Entry, new: Entry) -> Change | None:
    """Whether the model can be built or its layers be found, as they could not before, or the other way round."""
    if old["built"] != new["built"]:
        return Change.BUILT if new["built"] else Change.UNBUILT
    if bool(old["layers_path"]) != bool(new["layers_path"]):
        return Change.FOUND if new["layers_path"] else Change.LOST
    return None


def _judged(subject: str, old: dict[str, Any], new: dict[str, Any], step: Change | None) -> Iterator[Difference]:
    """What fails and did not, and the other way round; a model that was not there before broke nothing."""
    was, now = old.get("failed", {}), new.get("failed", {})
    if new["verdict"] == Verdict.ERROR and old["verdict"] != Verdict.ERROR:
        yield Difference(Change.BROKEN, f"{subject}: {new.get('error', 'error')}")
    broken = [name for name in now if name not in was]
    if broken and step is None:
        reason = now[broken[0]] if len({now[name] for name in broken}) == 1 else ""
        yield Difference(Change.BROKEN, f"{subject}: {', '.join(broken)}{reason and f': {reason}'}")
    mended = [name for name in was if name not in now and name not in new.get("not_applicable", {})]
    if new["verdict"] != Verdict.ERROR and (mended or (old["verdict"] == Verdict.ERROR and not now)):
        yield Difference(Change.MENDED, f"{subject}: {', '.join(mended) or 'conforms'}")


def _fact(value: Any) -> str:
    return ("; ".join(value) or "plain") if isinstance(value, list) else str(value)
