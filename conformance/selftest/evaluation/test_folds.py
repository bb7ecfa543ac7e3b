"""Which scenarios build a vector and which test it, and data that cannot be meant, told before a model is loaded."""

from __future__ import annotations

import argparse
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.selftest.evaluation.secllmholmes import plant_clone
from conformance.selftest.evaluation.small_study import plant_pairs, small_config
from pytest_steering.evaluation import command, experiment, load_secllmholmes
from pytest_steering.evaluation.folds import TooLong, folds_of
from pytest_steering.evaluation.layout import DataError


@pytest.mark.parametrize("scheme", ["crossed", "few-shot"])
def test_no_tested_scenario_builds_its_vector(tmp_path: Path, scheme: str) -> None:
    data = load_secllmholmes(plant_pairs(tmp_path), parts=["hand-crafted", "few-shot"])
    folds, _ = folds_of(data, small_config(tmp_path, tmp_path, scheme=scheme, cwes=None, max_samples_per_cwe=5))
    assert {fold.cwe for fold in folds} == {"CWE-89", "CWE-476"}
    for fold in folds:
        assert not {pair.scenario for pair in fold.build} & set(fold.scenarios)
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
        built = [pair.scenario for pair in fold.build]
        assert not set(built) & set(fold.scenarios)
        assert len(set(built[:2])) == 2


def test_all_66_misleading_files_are_tested(tmp_path: Path) -> None:
    """Also the 42 that are made to one side only, whose pairs build no vector."""
    data = load_secllmholmes(plant_clone(tmp_path), parts=["non-trivial", "few-shot"])
    config = small_config(tmp_path, tmp_path, parts=("non-trivial",), cwes=None, max_samples_per_cwe=99)
    folds, notes = folds_of(data, config)
    tested = [case.name for fold in folds for case in fold.cases if case.part == "non-trivial"]
    assert len(tested) == len(set(tested)) == 66
    assert [note for note in notes if note.startswith("left out")] == [
        f"left out: {cwe}: there is no pair to test in non-trivial; load more parts" for cwe in ("CWE-190", "CWE-476")
    ]
    built = [pair for fold in folds for pair in fold.build]
    assert all(pair.builds for pair in built)
    assert {pair.part for pair in built} == {"non-trivial", "few-shot"}


def test_few_shot_pairs_build_and_others_test(tmp_path: Path) -> None:
    parts = ("hand-crafted", "trivial", "non-trivial", "real-world")
    data = load_secllmholmes(plant_clone(tmp_path))
    config = small_config(tmp_path, tmp_path, parts=parts, cwes=("CWE-787",), scheme="few-shot")
    (fold,), notes = folds_of(data, config)
    assert [pair.scenario for pair in fold.build] == ["few-shot/CWE-787"]
    assert len(fold.test) == 3 + 21 + 18 + 6
    assert notes == ("CWE-787: 1 of the 2 pairs asked for build the vector; there are no more",)
    with pytest.raises(DataError, match="CWE-22: there is no pair to test in real-world; load more parts"):
        folds_of(data, small_config(tmp_path, tmp_path, parts=("real-world",), cwes=("CWE-22",), scheme="few-shot"))


def test_same_code_does_not_build_and_test(tmp_path: Path) -> None:
    clone = plant_clone(tmp_path)
    crafted = clone / "datasets" / "hand-crafted" / "dataset" / "CWE-22"
    shutil.copy(crafted / "1.c", crafted / "2.c")
    data = load_secllmholmes(clone, parts=["hand-crafted", "few-shot"])
    folds, _ = folds_of(data, small_config(tmp_path, tmp_path, cwes=("CWE-22",), folds=3, max_samples_per_cwe=9))
    assert [[pair.scenario[-1] for pair in fold.build if pair.part == "hand-crafted"] for fold in folds] == [
        ["3"],
        ["3"],
        ["1", "2"],
    ]


def test_a_scenario_on_both_sides_is_refused(tmp_path: Path) -> None:
    data = load_secllmholmes(plant_pairs(tmp_path), parts=["hand-crafted", "few-shot"])
    fold = folds_of(data, small_config(tmp_path, tmp_path))[0][0]
    with pytest.raises(DataError, match="its scenario hand-crafted/CWE-89/1 also builds the vector that it tests"):
        replace(fold, build=(*fold.build, fold.test[0]))


def test_a_cwe_that_is_left_out_says_what_its_pairs_exceed(tmp_path: Path) -> None:
    data = load_secllmholmes(plant_pairs(tmp_path), parts=["hand-crafted", "few-shot"])
    config = small_config(tmp_path, tmp_path, cwes=None)
    long = [TooLong("CWE-476", pair.vulnerable.name, 900, 512) for pair in data.cwe("CWE-476").pairs]
    folds, notes = folds_of(data.only(lambda pair: pair.cwe != "CWE-476"), config, long)
    assert {fold.cwe for fold in folds} == {"CWE-89"}
    assert (
        "left out: CWE-476: there is no pair to test in hand-crafted; load more parts, "
        "since 4 of its pairs exceed the context"
    ) in notes


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
