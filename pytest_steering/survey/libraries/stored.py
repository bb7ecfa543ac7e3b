"""The file that stores what was found in libraries: from reports, one for each library, to a line for each model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pytest_steering.report.model import Outcome
from pytest_steering.survey.architectures.sweep import read_reports, versions_of
from pytest_steering.survey.files import DATA, SurveyError, read_document, write_json
from pytest_steering.survey.libraries.findings import FINDINGS, Failure, finding_of

SCHEMA: Final = 1
STORED: Final = DATA / "libraries.json"

Findings = dict[str, Any]
"""``schema``, ``suite``, ``libraries`` (each with its versions and its ``models``) and the ``causes``."""

_TITLE = re.compile(r"^(\S+)(?: (\d\S*))?$")
_REFUSED = re.compile(r"cannot be built: (?:\w+: )?\S+ refuses (.*)")


def read_findings(paths: Sequence[Path]) -> Findings:
    """What the reports say of each adapter, library by library, in the order in which they are named."""
    found: dict[str, dict[str, Any]] = {}
    suite, reports = read_reports(paths)
    for path, report in reports:
        head = versions_of(report)
        for model in report["models"]:
            match = _TITLE.match(model["adapter"])
            if match is None:
                raise SurveyError(f"{path}: {model['adapter']!r} is no adapter with a version")
            adapter, version = match.groups()
            library = found.setdefault(
                adapter, {"adapter": adapter, "version": "", "versions": head["versions"], "models": {}}
            )
            if library["versions"] != head["versions"]:
                raise SurveyError(f"{path}: {adapter} was judged with {head['versions']} and {library['versions']}")
            library["version"] = version or library["version"]
            library["models"][model["spec"]] = _judged(adapter, model)
    used = {name for library in found.values() for verdict in library["models"].values() for name in _causes(verdict)}
    beside = {finding.name for finding in FINDINGS if not finding.signs and found.keys() & set(finding.adapters)}
    causes = {finding.name: finding.says for finding in FINDINGS if finding.name in used | beside}
    return {"schema": SCHEMA, "suite": suite, "libraries": list(found.values()), "causes": causes}


def read_stored(path: Path = STORED) -> Findings:
    """What is stored."""
    otherwise = f"holds no findings about libraries of schema {SCHEMA}"
    return read_document(path, SCHEMA, lambda findings: "libraries" in findings, otherwise)


def write_stored(findings: Findings, path: Path = STORED) -> None:
    """The findings are at ``path``."""
    write_json(path, findings)


def _judged(adapter: str, model: dict[str, Any]) -> dict[str, Any]:
    """What became of one model: it conforms, the library refuses it, or requirements fail, each with its causes."""
    failed = [result for result in model["requirements"] if result["outcome"] in (Outcome.FAILED, Outcome.ERROR)]
    refused = next((match for result in failed if (match := _REFUSED.search(result["reason"]))), None)
    if refused is not None:
        return {"verdict": "refuses", "reason": refused[1]}
    if not failed:
        return {"verdict": "conforms"}
    causes: dict[str, list[str]] = {}
    for result in failed:
        name = finding_of(Failure(adapter, model["spec"], result["id"], result.get("cause", ""), result["reason"]))
        if result["id"] not in causes.setdefault(name, []):
            causes[name].append(result["id"])
    return {"verdict": "fails", "failed": dict(sorted(causes.items()))}


def _causes(verdict: dict[str, Any]) -> list[str]:
    return list(verdict.get("failed", ()))
