"""Known-bad adapters are caught, each by the requirement that names its bug; the known-good ones conform."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest.verdicts_of import verdicts
from fixtures.known_bad import ALL
from pytest_steering.capability import Capability
from pytest_steering.requirements import catalogue

OF_MODELS = {
    "layers-found": "detection finds the layers or the model is refused: see test_detection.py",
    "layers-chain": "a fact of the model that no adapter changes",
    "hidden-size-measured": "a fact of the model that no adapter changes",
    "detection-repeats": "a fact of detection: see test_detection.py",
    "beats-random-direction": "not applicable to these untrained weights: see test_behaviour.py",
    "consistent-across-cwes": "the same",
    "reproducible-experiment": "the same",
}
"""Requirements that none of these adapters breaks, and why."""


def known_bad_run(directory: Path, spec: str = "tiny:llama", **environment: str) -> dict[str, dict[str, Any]]:
    names = [f"--steering-adapter={adapter.__module__}:{adapter.__qualname__}" for adapter in ALL]
    report = directory / "report.json"
    return verdicts(report, f"--steering-model={spec}", "-p", "fixtures.known_bad.selecting", *names, **environment)


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return known_bad_run(tmp_path_factory.mktemp("known_bad"))


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return known_bad_run(tmp_path_factory.mktemp("known_bad"), KNOWN_BAD="all")


@pytest.mark.parametrize("adapter", ALL, ids=lambda adapter: adapter.__name__)
def test_caught_by_the_requirement_that_names_it(adapter: Any, caught: dict[str, dict[str, Any]]) -> None:
    row = caught[f"tiny:llama {adapter.__name__}"]
    assert row["verdict"] == "fails"
    assert row["failed"] == {adapter.chiefly}


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ALL, ids=lambda adapter: adapter.__name__)
def test_breaks_exactly_these(adapter: Any, matrix: dict[str, dict[str, Any]]) -> None:
    timing = {adapter.chiefly} if "overhead" in adapter.chiefly else set()
    assert matrix[f"tiny:llama {adapter.__name__}"]["failed"] == adapter.breaks | timing


@pytest.mark.slow
def test_who_claims_nothing_is_caught_by_what_is_left(tmp_path: Path) -> None:
    """Without any capability each adapter is judged by the requirements that need none."""
    found = {
        name.replace(":", " ").split()[-1]: row for name, row in known_bad_run(tmp_path, KNOWN_BAD_CLAIMS="").items()
    }
    asked = [adapter for adapter in ALL if not set(catalogue()[adapter.chiefly].needs) & Capability.__members__.keys()]
    missed = {adapter.__name__ for adapter in asked if found[adapter.__name__]["failed"] != {adapter.chiefly}}
    assert missed == {"FillsTheMask"}, "without padding there is nothing to fill"
    assert len(asked) > 45
    assert [adapter for adapter in ALL if adapter not in asked and found[adapter.__name__]["failed"]] == []


def misnamed(found: dict[str, dict[str, Any]], spec: str = "tiny:llama") -> tuple[dict[str, str], dict[str, str]]:
    """The known-bad adapters whose cause is not named, and those for which another one is, with what is said."""
    unknown, wrong = {}, {}
    for adapter in ALL:
        row = found[f"{spec} {adapter.__name__}"]
        said = row["likely"]
        if row["verdict"] != "fails":
            continue
        if not said or said.startswith("unknown pattern"):
            unknown[adapter.__name__] = said
        elif not said.startswith(adapter.cause):
            wrong[adapter.__name__] = said
    return unknown, wrong


@pytest.mark.slow
def test_the_first_named_cause_is_right(matrix: dict[str, dict[str, Any]]) -> None:
    unknown, wrong = misnamed(matrix)
    assert wrong == {}
    assert len(unknown) <= 0.1 * len(ALL), unknown


def test_one_requirement_alone_names_the_cause(caught: dict[str, dict[str, Any]]) -> None:
    unknown, wrong = misnamed(caught)
    assert wrong == {}
    assert len(unknown) <= 0.1 * len(ALL), unknown


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["tiny:bloom", "tiny:gpt2", "tiny:mamba"])
def test_the_cause_is_named_on_another_anatomy(spec: str, tmp_path: Path) -> None:
    unknown, wrong = misnamed(known_bad_run(tmp_path, spec), spec)
    assert wrong == {}
    assert len(unknown) <= 0.1 * len(ALL), unknown


def test_every_requirement_is_broken_by_one() -> None:
    broken = {name for adapter in ALL for name in (adapter.chiefly, *adapter.breaks)}
    assert catalogue().keys() - broken == OF_MODELS.keys()


@pytest.mark.parametrize("adapter", ["nnsight", "folded"])
def test_known_good_ones_conform(adapter: str, tmp_path: Path) -> None:
    conform(tmp_path, ("tiny:gpt_bigcode", "tiny:starcoder2", "tiny:qwen2"), f"--steering-adapter={adapter}")


def test_a_vector_that_is_added_to_large_numbers_is_rounded_where_they_are(tmp_path: Path) -> None:
    """Trained models have biases, and parts that nearly cancel each other."""
    trained = [f"fixtures/trained/{name}" for name in ("gpt_bigcode", "starcoder2")]
    chosen = ("-k", "exact_delta or linear or any_vector or every_row or nonzero")
    conform(tmp_path, trained, "--steering-adapter=folded", "--steering-dtype=bfloat16", *chosen)


def conform(directory: Path, specs: Sequence[str], *options: str) -> None:
    found = verdicts(directory / "report.json", *(f"--steering-model={spec}" for spec in specs), *options)
    assert {name: row["failed"] for name, row in found.items()} == {
        f"{spec} {row_name(found)}": set() for spec in specs
    }
    assert {row["verdict"] for row in found.values()} == {"conforms"}


def row_name(found: dict[str, dict[str, Any]]) -> str:
    return str(next(iter(found.values()))["adapter"])
