"""What a reader must know stands before the numbers, in the printed summary and in results.json."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.selftest.evaluation.small_study import finished_study, plant_pairs, small_config
from pytest_steering.evaluation import UniversalSteeringExperiment
from pytest_steering.evaluation.layout import DataError
from pytest_steering.evaluation.statistics import control, mean_interval, share_interval
from pytest_steering.evaluation.summary import Summary

BARE: dict[str, Any] = {
    "random_directions": 0,
    "max_new_tokens": 0,
    "scan_layers": False,
    "class_control": False,
    "cwes": None,
}


@pytest.fixture
def summary() -> Summary:
    return finished_study()[2].summary


def with_pairs_right(summary: Summary, right: int, of: int, *, ordered: int = 0) -> Summary:
    """The same study of a model that has so many pairs right."""
    shares = {
        "pair_accuracy": share_interval([1.0] * right + [0.0] * (of - right)),
        "ordered": share_interval([1.0] * ordered + [0.0] * (of - ordered)),
    }
    return replace(summary, pooled=replace(summary.pooled, baseline=replace(summary.pooled.baseline, **shares)))


@pytest.mark.parametrize(
    ("right", "of", "ordered", "sentence"),
    [
        (
            2,
            24,
            10,
            "at chance: both files right in 8% [1, 27] of pairs, where a coin has 25%: nothing about steering follows",
        ),
        (
            2,
            24,
            24,
            "at chance: both files right in 8% [1, 27] of pairs, where a coin has 25%: it ranks the vulnerable file "
            "above its patch in 100% [86, 100], so shifts of the answer can be read, and nothing about accuracy "
            "follows",
        ),
        (
            8,
            24,
            10,
            "not told from chance: both files right in 33% [16, 55] of pairs, where a coin has 25%: "
            "nothing about steering follows",
        ),
    ],
)
def test_a_model_at_chance_is_said_to_be(summary: Summary, right: int, of: int, ordered: int, sentence: str) -> None:
    found = with_pairs_right(summary, right, of, ordered=ordered)
    assert found.beware()[0] == sentence
    assert found.document()["at_chance"] is True
    assert found.table().splitlines()[1] == f"beware: {sentence}"


def test_a_model_that_tells_is_not_said_to_be_at_chance(summary: Summary) -> None:
    found = with_pairs_right(summary, 14, 24)
    assert not any("chance" in sentence for sentence in found.beware())
    assert found.document()["at_chance"] is False


def test_a_control_that_the_data_cannot_carry_is_named(summary: Summary) -> None:
    (sentence,) = (sentence for sentence in summary.beware() if "within a class" in sentence)
    assert sentence == (
        "no control within a class: too few pairs build a vector (2 differences between files of one class, 19 are "
        "needed, which 5 pairs give); random directions, which are left, are an easy control"
    )
    assert json.loads((finished_study()[1] / "results.json").read_text())["beware"] == summary.beware()
    carried = replace(summary, pooled=replace(summary.pooled, within_class=control(4.0, [1.0] * 19)))
    assert not any("within a class" in sentence for sentence in carried.beware())
    assert "within a class at dose 0.25: target +4 against 19 differences" in "\n".join(carried.sentences())


def test_one_sentence_weighs_the_p_values(summary: Summary) -> None:
    pooled = replace(
        summary.pooled,
        test=replace(summary.pooled.test, p=0.0002, scenarios=80),
        control=control(4.0, [1.0] * 19),
        within_class=control(4.0, [1.0] * 20),
    )
    found = replace(summary, pooled=pooled, cwes=summary.cwes * 8)
    assert (
        "of these p-values one decides: the sign flip of the answer over all 80 scenarios, p = 0.0002; those of the 8 "
        "CWEs are corrected by Holm and describe; a rank p cannot be less than 1/20 and 1/21, however large the "
        "effect; McNemar, Page and the slopes describe"
    ) in found.sentences()
    assert any("over all 3 scenarios, which is underpowered; McNemar" in sentence for sentence in summary.sentences())


def test_the_layer_that_moves_the_answer_most_is_named(summary: Summary) -> None:
    moved = {layer: mean_interval([size - 0.5, size + 0.5]) for layer, size in enumerate([1.0, -3.0, 2.0])}
    found = replace(summary, pooled=replace(summary.pooled, layers=moved)).sentences()
    wanted = "of the layers steered alone at dose 0.25, layer 1 moves the answer most: -3 ["
    assert [sentence[: len(wanted)] for sentence in found if "steered alone" in sentence] == [wanted]
    without = replace(summary, pooled=replace(summary.pooled, layers={}))
    assert not any("steered alone" in sentence for sentence in without.sentences())


def test_pairs_that_exceed_the_context_are_counted_with_the_reason(tmp_path: Path) -> None:
    """One pair of CWE-89 is long, and both sides of all of CWE-476: of these there is nothing left."""
    data = plant_pairs(tmp_path / "data")
    crafted = data / "datasets" / "hand-crafted" / "dataset"
    for path in (crafted / "CWE-89" / "p_2.py", *(crafted / "CWE-476").iterdir()):
        path.write_text(path.read_text() * 60)
    found = UniversalSteeringExperiment(small_config(data, tmp_path / "out", **BARE)).run()
    (sentence,) = (sentence for sentence in found.summary.beware() if sentence.startswith("left out"))
    longest = max(pair.tokens for pair in found.summary.too_long)
    assert sentence == (
        "left out: 4 pairs whose prompts exceed the context of 512 tokens (CWE-89: 1, CWE-476: 3; the longest has "
        f"{longest}): what follows holds for shorter files only"
    )
    assert (
        "left out: CWE-476: there is no pair to test in hand-crafted; load more parts, since 3 of its pairs exceed the "
        "context"
    ) in found.summary.notes
    (pair,) = (pair for pair in json.loads(found.results.read_text())["too_long"] if pair["cwe"] == "CWE-89")
    assert pair["name"] == "datasets/hand-crafted/dataset/CWE-89/2.py"
    assert pair["tokens"] > pair["context"] == 512
    assert found.summary.pooled.scenarios == 2


def test_data_that_exceeds_the_context_altogether_is_refused_with_the_reason(tmp_path: Path) -> None:
    data = plant_pairs(tmp_path / "data")
    for path in (data / "datasets" / "hand-crafted" / "dataset" / "CWE-89").iterdir():
        path.write_text(path.read_text() * 60)
    with pytest.raises(DataError, match=r"^no CWE has pairs enough to build and to test: .* 3 of its pairs exceed the"):
        UniversalSteeringExperiment(small_config(data, tmp_path / "out")).run()


def test_what_has_no_interval_says_why(summary: Summary) -> None:
    shift = replace(summary.pooled.at(0.25).shift, answer=share_interval([0.5], ["a"]))
    doses = tuple(replace(at, shift=shift) if at.dose == 0.25 else at for at in summary.pooled.doses)
    lines = replace(summary, pooled=replace(summary.pooled, doses=doses)).table().splitlines()
    assert "note: all has no interval of the shift: one scenario says nothing of others" in lines
    (row,) = (line for line in lines if line.startswith("all "))
    assert "+0.50  " in row
    assert "+0.50 [" not in row
