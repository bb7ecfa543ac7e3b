"""Several JSON reports as one: of shards that judged other models, adapters or requirements, with the same versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from pytest_steering.errors import SpecError
from pytest_steering.oracle.diagnosis.causes import PATTERNS, Cause
from pytest_steering.report.baseline import of_report
from pytest_steering.report.model import Outcome, Verdict
from pytest_steering.report.reading import Unfit, is_number, read_json, rows, table, words

Report = dict[str, Any]

_FAILING = (Outcome.FAILED, Outcome.ERROR)
_ORDER: dict[str, int] = {cause.value: number for number, cause in enumerate(Cause)}
_VAGUE = frozenset(cause.value for cause in PATTERNS)


def read_report(path: Path) -> Report:
    """The JSON report in a file; ``SpecError`` for a file that is none."""
    document = read_json(path, str(path))
    try:
        of_report(document)
        table(table(document, "environment"), "versions")
        words(table(document, "environment"), "platform")
        for model in rows(document, "models"):
            words(model, "verdict")
            for entry in rows(model, "requirements"):
                words(entry, "nodeid")
    except Unfit as error:
        raise SpecError(f"{path} is no report that can be read: {error}") from None
    return document


def merge(reports: Mapping[str, Report]) -> Report:
    """One report of all that these say, by the names of their files; ``SpecError`` where they do not go together.

    In any grouping the result is the same: ``merge(merge(a, b), c)`` is ``merge(a, merge(b, c))``. What they say of
    baselines is left out: compare the whole.
    """
    first, *_ = reports
    named = {
        name: {key: value for key, value in report.items() if key != "baseline"} for name, report in reports.items()
    }
    for name, report in named.items():
        _check_same(first, named[first], name, report)
    _check_twice(named)
    return reduce(_joined, named.values())


def _check_same(first: str, one: Report, name: str, other: Report) -> None:
    """Versions are the same: those of the suite, of what was asked and of every package."""
    asked = [(report["schema"], report["suite"], report.get("profile", "full")) for report in (one, other)]
    if asked[0] != asked[1]:
        raise SpecError(f"{name} is of suite {' '.join(asked[1][1:])} and {first} of {' '.join(asked[0][1:])}")
    versions = [report["environment"]["versions"] for report in (one, other)]
    for package in sorted({*versions[0], *versions[1]}):
        found = [each.get(package, "none") for each in versions]
        if found[0] != found[1]:
            raise SpecError(f"{name} was made with {package} {found[1]} and {first} with {found[0]}")


def _check_twice(reports: Mapping[str, Report]) -> None:
    """No test of a model under an adapter stands in two of them."""
    seen: dict[tuple[str, ...], str] = {}
    for name, report in reports.items():
        for model in report["models"]:
            for entry in model["requirements"]:
                params = json.dumps(entry["params"], sort_keys=True)
                key = (*_subject(model), entry["id"], params)
                if key in seen:
                    who = f"{model['spec']} with {model['adapter_name']}"
                    raise SpecError(f"{entry['id']} of {who} stands in {seen[key]} and in {name}: {entry['nodeid']}")
                seen[key] = name


def _subject(model: Mapping[str, Any]) -> tuple[str, ...]:
    return model["spec"], model["adapter_name"], model["device"]


def _joined(one: Report, other: Report) -> Report:
    models = {_subject(model): model for model in one["models"]}
    for model in other["models"]:
        same = models.get(_subject(model))
        models[_subject(model)] = model if same is None else _joined_models(same, model)
    merged: Report = _union(one, other, "the reports", leaving=("models", "environment"))
    merged["environment"] = {
        **_union(one["environment"], other["environment"], "the environments", leaving=("platform", "device")),
        **{part: _listed(one["environment"], other["environment"], part) for part in ("platform", "device")},
    }
    merged["models"] = list(models.values())
    return {key: merged[key] for key in [*one, *(key for key in merged if key not in one)]}


def _joined_models(one: Report, other: Report) -> Report:
    """One model under one adapter, of which each judged other requirements."""
    who = f"{one['spec']} with {one['adapter_name']}"
    merged = _union(one, other, who, leaving=("verdict", "cause", "notes", "requirements", "cost"))
    if "notes" in one or "notes" in other:
        merged["notes"] = list(dict.fromkeys([*one.get("notes", ()), *other.get("notes", ())]))
    merged["requirements"] = [*one["requirements"], *other["requirements"]]
    merged["verdict"] = _verdict(one, other, merged["requirements"]).value
    merged["cause"] = _cause(merged["requirements"]) if merged["verdict"] == Verdict.FAILS else ""
    merged["cost"] = {
        name: max(one["cost"][name], other["cost"][name])
        if name == "peak_bytes"
        else round(one["cost"][name] + other["cost"][name], 3)
        for name in one["cost"].keys() & other["cost"].keys()
    }
    merged["cost"] = {name: merged["cost"][name] for name in one["cost"] if name in merged["cost"]}
    return {key: merged[key] for key in [*one, *(key for key in merged if key not in one)]}


def _verdict(one: Report, other: Report, entries: Sequence[Mapping[str, Any]]) -> Verdict:
    outcomes = {entry["outcome"] for entry in entries}
    for model in (one, other):
        # A shard in which nothing was applicable is no error of the whole.
        if model["verdict"] == Verdict.ERROR and any(
            each["outcome"] == Outcome.ERROR for each in model["requirements"]
        ):
            return Verdict.ERROR
    if outcomes & set(_FAILING):
        return Verdict.FAILS
    return Verdict.ERROR if outcomes <= {Outcome.NOT_APPLICABLE} else Verdict.CONFORMS


def _cause(entries: Sequence[Mapping[str, Any]]) -> str:
    causes = {entry.get("cause", "") for entry in entries if entry["outcome"] in _FAILING} - _VAGUE
    return min(causes & _ORDER.keys(), key=_ORDER.__getitem__, default="")


def _union(one: Report, other: Report, who: str, leaving: tuple[str, ...] = ()) -> Report:
    """What either says; where both say something, it is the same, or objects whose parts are."""
    merged: Report = {}
    for key in [*one, *(key for key in other if key not in one)]:
        mine, yours = one.get(key), other.get(key)
        if key in leaving:
            merged[key] = mine
        elif mine == yours or not _says(yours):
            merged[key] = mine if _says(mine) or key in one else yours
        elif not _says(mine):
            merged[key] = yours
        elif isinstance(mine, dict) and isinstance(yours, dict):
            merged[key] = _union(mine, yours, f"{who}: {key}")
        else:
            raise SpecError(
                f"{who}: {key} is {json.dumps(mine)[:60]} in one report and {json.dumps(yours)[:60]} in another"
            )
    return merged


def _says(value: object) -> bool:
    return is_number(value) or isinstance(value, bool) or bool(value)


def _listed(one: Mapping[str, Any], other: Mapping[str, Any], part: str) -> str:
    values = f"{one.get(part, '')}, {other.get(part, '')}".split(", ")
    return ", ".join(dict.fromkeys(value for value in values if value))
