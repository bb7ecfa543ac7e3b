"""From the reports that pytest wrote to what they say of every model type, without what differs from run to run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pytest_steering.errors import SpecError, one_line
from pytest_steering.report.json_report import SCHEMA as REPORT_SCHEMA
from pytest_steering.report.model import Outcome, Verdict
from pytest_steering.survey.architectures.stored import SCHEMA, Entry, Survey
from pytest_steering.survey.files import SurveyError, read_document
from pytest_steering.targets.spec import TEXT, SpecKind, parse_spec, tiny_of

PACKAGES = ("transformers", "torch", "nnsight")

_FAILING = (Outcome.FAILED, Outcome.ERROR)
_VERSION = re.compile(r" v?\d\S*$")
_PLACE = re.compile(r" \(\S+:\d+\)$")
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
_FOLDER = re.compile(r"(?<![\w.:/])/(?:[^\s/]+/)+")


def read_sweep(paths: Sequence[Path]) -> Survey:
    """What the reports say of every ``tiny:`` model together; of two on the same subject the later one counts."""
    reports = [read_report(path) for path in paths]
    first = versions_of(reports[0])
    for path, report in zip(paths, reports, strict=True):
        if versions_of(report) != first:
            raise SurveyError(
                f"{paths[0]} and {path} are of different versions: {_difference(first, versions_of(report))}"
            )
    entries: dict[str, Entry] = {}
    for report in reports:
        for model in report["models"]:
            if parse_spec(model["spec"]).kind is SpecKind.TINY:
                _add(entries.setdefault(model["spec"], _entry(model["spec"])), model)
    if not entries:
        raise SurveyError(f"{', '.join(map(str, paths))}: there is no tiny: model in it")
    ordered = sorted(entries.values(), key=lambda entry: (entry["type"], entry["task"] != TEXT))
    for entry in ordered:
        entry["verdicts"] = dict(sorted(entry["verdicts"].items()))
    return {"schema": SCHEMA, **first, "types": ordered}


def read_report(path: Path) -> dict[str, Any]:
    """A report that pytest wrote; ``SurveyError`` when it is none."""
    otherwise = f"is no report of schema {REPORT_SCHEMA}, as pytest --steering-report writes it"
    return read_document(path, REPORT_SCHEMA, _is_report, otherwise)


def read_reports(paths: Sequence[Path]) -> tuple[str, list[tuple[Path, dict[str, Any]]]]:
    """The version of the suite, and each report by its path; ``SurveyError`` where they are of different suites."""
    reports = [(path, read_report(path)) for path in paths]
    suites = {versions_of(report)["suite"] for _, report in reports}
    if len(suites) > 1:
        raise SurveyError(f"the reports are of different suites: {', '.join(sorted(suites))}")
    return suites.pop(), reports


def _is_report(report: dict[str, Any]) -> bool:
    try:
        whole = all(
            {"id", "group", "outcome", "reason"} <= result.keys() and result["outcome"] in set(Outcome)
            for model in report["models"]
            for result in model["requirements"]
        ) and all(
            isinstance(model["spec"], str)
            and isinstance(model["adapter"], str)
            and model["verdict"] in set(Verdict)
            and isinstance(model["cost"]["load_seconds"], int | float)
            and (model["architecture"] is None or isinstance(model["architecture"], dict))
            for model in report["models"]
        )
        return whole and isinstance(report["environment"]["versions"], dict) and isinstance(report["suite"], str)
    except (KeyError, TypeError, AttributeError):
        return False


def versions_of(report: dict[str, Any]) -> dict[str, Any]:
    """The versions of the packages that matter and of the suite that a report was made with."""
    found = report["environment"]["versions"]
    versions = {name: str(found[name]).partition("+")[0] for name in PACKAGES if name in found}
    return {"versions": versions, "suite": report["suite"]}


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    flat = [{**head["versions"], "suite": head["suite"]} for head in (one, other)]
    names = [name for name in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(name) != flat[1].get(name)]
    return ", ".join(f"{name} {flat[0].get(name, 'none')} and {flat[1].get(name, 'none')}" for name in names)


def _entry(spec: str) -> Entry:
    try:
        model_type, task = tiny_of(parse_spec(spec))
    except SpecError as error:
        raise SurveyError(str(error)) from None
    return {
        "spec": spec,
        "type": model_type,
        "task": task,
        "built": False,
        "class": "",
        "layers_path": "",
        "num_layers": 0,
        "output_kind": "",
        "anatomy": [],
        "notes": [],
        "error": "",
        "verdicts": {},
    }


def _add(entry: Entry, model: dict[str, Any]) -> None:
    """What the report says of one model under one adapter goes into the entry of its type."""
    architecture = model["architecture"]
    entry["built"] |= architecture is not None or model["cost"]["load_seconds"] > 0
    if architecture is not None:
        for key in ("layers_path", "num_layers", "output_kind", "anatomy", "notes"):
            entry[key] = architecture.get(key, entry[key])
        entry["class"] = architecture.get("model_class", "")
        entry["error"] = ""
    elif not entry["layers_path"]:
        entry["error"] = _first_failure(model)
    entry["verdicts"][_VERSION.sub("", model["adapter"])] = _verdict(model)


def _verdict(model: dict[str, Any]) -> dict[str, Any]:
    if model["verdict"] == Verdict.ERROR:
        # One reason stands for all: there is no model, no adapter, or nothing to judge.
        reason = _first_failure(model) if model["architecture"] is not None else ""
        return {"verdict": Verdict.ERROR.value, **({"error": reason} if reason else {})}
    groups: dict[str, Counter[str]] = {}
    for result in model["requirements"]:
        outcome = Outcome.FAILED if result["outcome"] in _FAILING else Outcome(result["outcome"])
        groups.setdefault(result["group"], Counter())[outcome.value] += 1
    ran = {result["id"] for result in model["requirements"] if result["outcome"] != Outcome.NOT_APPLICABLE}
    skipped = (result for result in model["requirements"] if result["id"] not in ran)
    return {
        "verdict": model["verdict"],
        "groups": {group: dict(counts) for group, counts in groups.items()},
        "failed": _reasons(_failing(model), model["spec"]),
        "not_applicable": _reasons(skipped, model["spec"]),
    }


def _reasons(results: Iterable[dict[str, Any]], spec: str) -> dict[str, str]:
    """The first reason of each requirement."""
    found: dict[str, str] = {}
    for result in results:
        found.setdefault(result["id"], _lasting(str(result["reason"]), spec))
    return found


def _first_failure(model: dict[str, Any]) -> str:
    return next(iter(_reasons(_failing(model), model["spec"]).values()), "no requirement was applicable")


def _failing(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [result for result in model["requirements"] if result["outcome"] in _FAILING]


def _lasting(reason: str, spec: str) -> str:
    """A reason without the model's name, and without the line, the folders and the addresses where it came up."""
    text = _FOLDER.sub("", _ADDRESS.sub("0x…", _PLACE.sub("", " ".join(reason.split()))))
    for name in (spec, spec.partition("@")[0]):
        text = text.removeprefix(f"{name}: ")
    return one_line(text)
