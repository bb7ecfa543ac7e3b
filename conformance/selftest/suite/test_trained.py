"""A trained model's own behaviour: a vector that does not arrive, or turned around, does not move it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.checkpoint import write_checkpoint
from pytest_steering.fixtures.known_bad.layers import NeverFires
from pytest_steering.fixtures.known_bad.scale import SignLost

from conformance.selftest.places import TRAINED
from conformance.selftest.samples import sample
from conformance.selftest.verdicts_of import verdicts
from conformance.test_divergence import test_beats_random_direction as beats_random_direction
from pytest_steering import load_target
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.adapters.protocol import Factory
from pytest_steering.errors import Violation
from pytest_steering.oracle.harness import Harness
from pytest_steering.suite.trained import Behaviour


def asked(directory: Path, build: Factory) -> tuple[Harness, Behaviour]:
    target = load_target(str(directory))
    harness = Harness(target, build(target.model, target.architecture), build)
    return harness, Behaviour(harness)


def test_a_direction_that_arrives_moves_the_answer() -> None:
    beats_random_direction(*asked(TRAINED / "gpt_bigcode", HooksAdapter))


@pytest.mark.slow
@pytest.mark.parametrize("name", sample(["gpt_bigcode", "starcoder2", "qwen2"], 3, "SAMPLES"))
@pytest.mark.parametrize("build", [NeverFires, SignLost])
def test_one_that_does_not_is_no_better_than_chance(name: str, build: Factory) -> None:
    with pytest.raises(Violation, match="random directions of the same norm"):
        beats_random_direction(*asked(TRAINED / name, build))


def test_a_model_that_cannot_tell_has_no_behaviour(tmp_path: Path) -> None:
    with pytest.raises(
        pytest.skip.Exception, match=r"does not tell apart, .* vulnerable and patched code \(\d+ of 16 pairs\)"
    ):
        beats_random_direction(*asked(write_checkpoint(tmp_path / "random"), HooksAdapter))


def test_an_effect_is_reported_for_each_weakness(tmp_path: Path) -> None:
    row = judged(tmp_path, "hooks", "consistent_across_cwes")
    assert row["verdict"] == "conforms"
    assert len(row["effects"]) == 8
    for effect in row["effects"].values():
        assert 0 < effect["low"] < effect["nats"] < effect["high"]
        assert effect["second_mechanism"] == pytest.approx(effect["nats"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bug", "failed"),
    [
        ("trained:LeavesAWordAlone", {"consistent-across-cwes", "nothing-read-back"}),
        ("state:AnotherSeedInEachProcess", {"reproducible-experiment", "same-in-fresh-process"}),
    ],
)
def test_what_a_trained_model_shows(bug: str, failed: set[str], tmp_path: Path) -> None:
    row = judged(
        tmp_path, f"pytest_steering.fixtures.known_bad.{bug}", "divergence or reproducib or fresh or cost or positions"
    )
    assert row["failed"] == failed


def judged(directory: Path, adapter: str, chosen: str) -> dict[str, Any]:
    model = f"--steering-model={TRAINED / 'qwen2'}"
    found = verdicts(directory / "report.json", model, f"--steering-adapter={adapter}", "-k", chosen)
    return next(iter(found.values()))
