"""A study that flatters is shown up by its own report: each of its known bugs, beside the same study done right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures.known_bad import studies

from conformance.selftest.places import TRAINED
from pytest_steering.evaluation import UniversalSteeringConfig, UniversalSteeringExperiment, experiment
from pytest_steering.evaluation.folds import folds_of
from pytest_steering.evaluation.layout import DataError
from pytest_steering.evaluation.summary import Summary


def studied(output: Path, **changes: Any) -> Summary:
    settings: dict[str, Any] = {
        "model_name": str(TRAINED / "starcoder2"),
        "output_dir": str(output),
        "cwes": ("CWE-89", "CWE-476"),
        "doses": (0.0, 0.1, 0.25),
        "max_samples_per_cwe": 6,  # half of them are turned around
        "max_new_tokens": 0,
        "scan_layers": False,
        "pictures": False,
    }
    return UniversalSteeringExperiment(UniversalSteeringConfig(**(settings | changes))).run().summary


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return studied(tmp_path_factory.mktemp("right"))


@pytest.mark.slow
def test_a_study_done_right_finds_an_effect(right: Summary) -> None:
    assert right.pooled.control is not None
    assert right.pooled.control.beaten
    assert right.pooled.control.target > 2 * right.pooled.control.largest
    assert right.pooled.within_class is not None
    assert right.pooled.within_class.beaten
    assert right.pooled.slopes.backwards.estimate == 0
    assert right.pooled.baseline.discrimination.excludes_zero


@pytest.mark.slow
def test_shuffled_labels_are_no_better_than_no_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random directions are beaten even so: they are strange to the model, and a difference of two prompts is not."""
    monkeypatch.setattr(experiment, "Bench", studies.ShuffledLabels)
    found = studied(tmp_path).pooled.within_class
    assert found is not None
    assert found.p is not None
    assert not found.beaten


@pytest.mark.slow
def test_a_sign_that_is_lost_steers_backwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "Bench", studies.SignLost)
    found = studied(tmp_path, random_directions=0)
    assert found.pooled.slopes.backwards.estimate == 1
    assert any("100% of samples steer backwards" in sentence for sentence in found.sentences())


@pytest.mark.slow
def test_who_says_yes_to_all_has_no_pair_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "Bench", studies.SaysYes)
    found = studied(tmp_path, random_directions=0).pooled.baseline
    assert found.accuracy.estimate == 0.5
    assert (found.yes_rate.estimate, found.pair_accuracy.estimate) == (1, 0)
    assert "says yes to 100%, has both files right in 0% of pairs" in str(found)


@pytest.mark.slow
def test_a_judge_that_says_yes_to_all_has_no_pair_right(tmp_path: Path) -> None:
    judge = "fixtures.known_bad.studies:judge_says_yes"
    found = studied(tmp_path, random_directions=0, max_new_tokens=2, judge=judge)
    for texts in found.texts:
        assert texts.labels == {"vulnerable": 40}
        assert str(texts).endswith("20 of 40 right, both of a pair in 0 of 20")


def test_pairs_that_leak_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "folds_of", lambda *of: (studies.leaked(folds_of(*of)[0]), folds_of(*of)[1]))
    with pytest.raises(DataError, match="also builds the vector that it tests"):
        studied(tmp_path)
