"""Known-bad adapters on other anatomies and without capabilities are caught, and known-good ones conform."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.known_bad import ALL

from conformance.selftest.adapters.known_bad_runs import known_bad_run, misnamed
from conformance.selftest.samples import sample
from conformance.selftest.verdicts_of import verdicts
from pytest_steering.steering.capability import Capability
from pytest_steering.suite.catalogue import catalogue

TRIED = sample(ALL, 3, "KNOWN_BAD")
"""The adapters that are tried without their claims."""

ANATOMIES = ("tiny:bloom", "tiny:gpt2", "tiny:mamba")


@pytest.mark.slow
def test_who_claims_nothing_is_caught_by_what_is_left(tmp_path: Path) -> None:
    """Without any capability an adapter is judged by the requirements that need none."""
    rows = known_bad_run(tmp_path, adapters=TRIED, KNOWN_BAD_CLAIMS="")
    found = {name.replace(":", " ").split()[-1]: row for name, row in rows.items()}
    asked = [
        adapter for adapter in TRIED if not set(catalogue()[adapter.chiefly].needs) & Capability.__members__.keys()
    ]
    missed = {adapter.__name__ for adapter in asked if found[adapter.__name__]["failed"] != {adapter.chiefly}}
    of_positions = {adapter.__name__ for adapter in TRIED if adapter.chiefly == "only-these-positions"}
    one_row = {"RowByRow"}
    assert missed == {"FillsTheMask", *one_row, *of_positions} & {adapter.__name__ for adapter in TRIED}, (
        "without padding there is nothing to fill, without a batch there is one row, and all is steered"
    )
    assert len(asked) > 0.4 * len(TRIED)
    assert [adapter for adapter in TRIED if adapter not in asked and found[adapter.__name__]["failed"]] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(ANATOMIES)), ids=ANATOMIES)
def test_the_cause_is_named_on_another_anatomy(number: int, tmp_path: Path) -> None:
    """Each of several anatomies has its share of the adapters; ``KNOWN_BAD=all`` tries all of them on each."""
    spec = ANATOMIES[number]
    adapters = sample(ALL[number:] + ALL[:number], 2 * len(ANATOMIES), "KNOWN_BAD")
    unknown, wrong = misnamed(known_bad_run(tmp_path, spec, adapters=adapters), spec, adapters=adapters)
    assert wrong == {}
    assert len(unknown) <= 0.1 * len(adapters), unknown


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["nnsight", "folded"])
def test_known_good_ones_conform(adapter: str, tmp_path: Path) -> None:
    conform(tmp_path, ("tiny:starcoder2",), f"--steering-adapter={adapter}", "-k", "not overhead")
    conform(tmp_path, ("tiny:gpt_bigcode",), f"--steering-adapter={adapter}", "--steering-profile=core")


@pytest.mark.slow
def test_the_three_families_conform(tmp_path: Path) -> None:
    """The third is what a run of all tests judges, and untrained ones what the other tests of right adapters do."""
    trained = ("fixtures/trained/gpt_bigcode", "fixtures/trained/qwen2")
    conform(tmp_path, trained, "--steering-adapter=hooks", "-k", "divergence or generation or numerics")


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
