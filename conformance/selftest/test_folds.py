"""Which scenarios build a vector and which test it, and data that cannot be meant, told before a model is loaded."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import pytest

from conformance.selftest.secllmholmes import plant_clone
from conformance.selftest.small_study import plant_pairs, small_config
from pytest_steering.evaluation import command, experiment, load_secllmholmes
from pytest_steering.evaluation.folds import folds_of
from pytest_steering.evaluation.layout import DataError


@pytest.mark.parametrize("scheme", ["crossed", "few-shot"])
def test_no_tested_scenario_builds_its_vector(tmp_path: Path, scheme: str) -> None:
    data = load_secllmholmes(plant_pairs(tmp_path), parts=["hand-crafted", "few-shot"])
    folds, _ = folds_of(data, small_config(tmp_path, tmp_path, scheme=scheme, cwes=None, max_samples_per_cwe=5))
    assert {fold.cwe for fold in folds} == {"CWE-89", "CWE-476"}
    for fold in folds:
        assert not {pair.scenario for pair in fold.split.build} & set(fold.scenarios)
    tested = Counter(scenario for fold in folds for scenario in fold.scenarios)
    assert set(tested.values()) == {1}
    assert len(tested) == 6


def test_augmentations_go_where_their_original_goes(tmp_path: Path) -> None:
    """Each of three scenarios has eight versions, which differ in their code and are one cluster."""
    parts = ("hand-crafted", "trivial")
    data = load_secllmholmes(plant_clone(tmp_path), parts=[*parts, "few-shot"])
    folds, _ = folds_of(data, small_config(tmp_path, tmp_path, parts=parts, max_samples_per_cwe=99, folds=3))
    assert [len(set(fold.scenarios)) for fold in folds] == [1, 1, 1]
    assert sum(len(fold.scenarios) for fold in folds) == 24
    for fold in folds:
        built = [pair.scenario for pair in fold.split.build]
        assert not set(built) & set(fold.scenarios)
        assert len(set(built[:2])) == 2


def test_originals_of_augmentations_count_once(tmp_path: Path) -> None:
    """The data set has the hand-crafted files again, as what its misleading changes began from."""
    parts = ("hand-crafted", "non-trivial")
    data = load_secllmholmes(plant_clone(tmp_path), parts=[*parts, "few-shot"])
    assert len(data.part("non-trivial").cwe("CWE-787").pairs) > 0
    folds, _ = folds_of(data, small_config(tmp_path, tmp_path, parts=parts, cwes=("CWE-787",), max_samples_per_cwe=99))
    tested = [(pair.vulnerable.code, pair.patched.code) for fold in folds for pair in fold.split.test]
    assert len(tested) == len(set(tested))
    for fold in folds:
        built = [pair.vulnerable.code for pair in fold.split.build]
        assert len(built) == len(set(built))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--data", "nowhere"), "nowhere: there is no such directory"),
        (("--parts", "realworld"), "there is no part 'realworld' of SecLLMHolmes; the parts are hand-crafted"),
        (("--cwes", "CWE-999"), "there is no CWE-999 in the data; it has CWE-"),
        (("--styles", "S99"), "there is no style 'S99'; the styles are S1"),
    ],
)
def test_what_cannot_be_meant_is_told_before_a_model_is_loaded(
    options: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(experiment, "load_target", lambda *_, **__: pytest.fail("a model is loaded"))
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = parser.parse_args(["--model", "tiny:llama", "--quiet", *options])
    assert command.run(given, pytest.fail) == 4
    assert sentence in capsys.readouterr().err


def test_folds_say_what_falls_short(tmp_path: Path) -> None:
    data = load_secllmholmes(plant_pairs(tmp_path), parts=["hand-crafted", "few-shot"])
    _, notes = folds_of(data, small_config(tmp_path, tmp_path, max_samples_per_cwe=5))
    assert "CWE-89: 2 of the 5 pairs asked for build the vector; there are no more" in notes
    with pytest.raises(DataError, match="there is no CWE-22 in the data"):
        folds_of(data, small_config(tmp_path, tmp_path, cwes=("CWE-22",)))


def test_one_scenario_alone_is_not_crossed(tmp_path: Path) -> None:
    data = load_secllmholmes(plant_pairs(tmp_path, scenarios=1), parts=["hand-crafted", "few-shot"])
    with pytest.raises(DataError, match="1 scenarios cannot be divided; take scheme few-shot"):
        folds_of(data, small_config(tmp_path, tmp_path))
