"""What is kept of every architecture is what this code finds, with the versions that are pinned."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import transformers

from conformance.selftest.places import ROOT
from conformance.selftest.samples import sample
from conformance.selftest.verdicts_of import verdicts
from pytest_steering import load_target
from pytest_steering.errors import ArchitectureError, SpecError, TargetError
from pytest_steering.survey.architectures.representatives import representatives
from pytest_steering.survey.architectures.stored import STORED, Entry, read_survey, write_survey
from pytest_steering.survey.architectures.table import counts
from pytest_steering.targets.patterns import expanded
from pytest_steering.targets.spec import parse_spec

SURVEY = read_survey()
TYPES = SURVEY["types"]
DOZEN = TYPES[:: max(1, len(TYPES) // 12)]

pinned = pytest.mark.skipif(
    transformers.__version__ != SURVEY["versions"]["transformers"],
    reason=f"the table was made with transformers {SURVEY['versions']['transformers']}, "
    f"and {transformers.__version__} is installed",
)


def found(spec: str) -> dict[str, Any]:
    """What detection finds now, as far as the table keeps it."""
    facts = {"built": False, "class": "", "layers_path": "", "num_layers": 0, "output_kind": "", "anatomy": []}
    try:
        target = load_target(spec)
        facts["built"] = True
        said = target.architecture.as_json()
    except (TargetError, ArchitectureError, SpecError):
        return facts
    return facts | {"class": said["model_class"]} | {key: said[key] for key in facts if key in said}


def differing(entry: Entry) -> dict[str, Any]:
    """What the table says and what is found, where they differ."""
    return {key: (entry[key], value) for key, value in found(entry["spec"]).items() if entry[key] != value}


@pinned
@pytest.mark.parametrize("entry", DOZEN, ids=[entry["spec"] for entry in DOZEN])
def test_a_dozen_of_them(entry: Entry) -> None:
    assert differing(entry) == {}, "after a change that is meant: tox -e architectures-keep"


@pinned
@pytest.mark.slow
def test_all_of_them() -> None:
    wrong = {entry["spec"]: differing(entry) for entry in TYPES}
    assert {spec: difference for spec, difference in wrong.items() if difference} == {}


@pinned
def test_it_holds_every_type() -> None:
    assert {entry["spec"] for entry in TYPES} == {spec.text for spec in expanded([parse_spec("tiny:*")])}


@pinned
@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["hooks", "nnsight"])
def test_one_of_each_anatomy_is_judged_as_kept(adapter: str, tmp_path: Path) -> None:
    entries = sample(representatives(SURVEY), 3 if adapter == "hooks" else 6, "SAMPLES")
    chosen = {entry["spec"]: entry["verdicts"][adapter] for entry in entries}
    found = verdicts(
        tmp_path / "report.json",
        *(f"--steering-model={spec}" for spec in chosen),
        f"--steering-adapter={adapter}",
        "--steering-profile=core",
    )
    judged = {row["spec"]: (row["verdict"], row["failed"]) for row in found.values()}
    assert judged == {spec: (kept["verdict"], set(kept.get("failed", ()))) for spec, kept in chosen.items()}


def test_it_was_made_with_the_pinned_versions() -> None:
    pins = dict(line.split("==") for line in (ROOT / ".ci/constraints.txt").read_text().split() if "==" in line)
    assert SURVEY["versions"] == {name: pins[name] for name in ("transformers", "torch", "nnsight")}


def test_it_is_written_as_a_sweep_writes_it(tmp_path: Path) -> None:
    write_survey(SURVEY, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text(encoding="utf-8") == STORED.read_text(encoding="utf-8")


def test_the_readme_has_the_counts() -> None:
    readme = (ROOT / "pytest_steering" / "survey" / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- architectures -->\n(.*?)\n<!-- /architectures -->", readme, re.DOTALL)
    assert shown is not None
    assert shown[1] == counts(SURVEY)
