"""The parts of an experiment: for each fold its doses, controls, layers, robustness case and texts.

Each part depends on the fold's vectors alone and on no other part, so that it gives the same numbers in whatever order,
after whatever interruption, parts are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from pytest_steering.evaluation.bench import Bench, Measure, mean_answer, random_direction, relative
from pytest_steering.evaluation.config import UniversalSteeringConfig
from pytest_steering.evaluation.divergence import compare, relative_dose
from pytest_steering.evaluation.folds import Fold
from pytest_steering.evaluation.judges.judgement import Judge, Question
from pytest_steering.evaluation.statistics import LEAST_DIRECTIONS
from pytest_steering.evaluation.styles import STYLES


def measures(config: UniversalSteeringConfig) -> Iterator[tuple[str, Measure]]:
    """The parts of every fold, by the name that each is kept under."""
    yield "doses", _doses
    for number in range(config.random_directions):
        yield f"random-{number:02}", partial(_random, number)
    if config.class_control:
        yield "class", _within_class
    if config.scan_layers:
        yield "layers", _layers
    yield "robustness", _robustness
    if config.max_new_tokens:
        yield "texts", _texts


def _doses(bench: Bench, fold: Fold, vectors: Mapping[int, Tensor], norms: Mapping[int, float]) -> dict[str, Any]:
    """Answers and divergence without steering and at each dose."""
    scaled = relative(vectors, norms, bench.layers)
    with bench.steered(None) as call:
        answers, before = bench.answers(call, fold), bench.log_probabilities(call, fold)
    found: dict[str, Any] = {
        "baseline": {"answers": answers, "divergence": _divergence(before, before)},
        "scenarios": list(fold.scenarios),
    }
    for dose in bench.config.doses:
        with bench.steered(scaled, dose) as call:
            answers, after = bench.answers(call, fold), bench.log_probabilities(call, fold)
        found[f"{dose:g}"] = {"answers": answers, "divergence": _divergence(after, before)}
        if dose == 0:
            found["zero_is_identity"] = all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    return found


def _random(
    number: int, bench: Bench, fold: Fold, vectors: Mapping[int, Tensor], norms: Mapping[int, float]
) -> dict[str, Any]:
    """The mean answer at each dose along one random direction that is as long as the trained one at each layer."""
    size = bench.target.architecture.hidden_size
    drawn = random_direction(number, seed=bench.config.seed, hidden_size=size, layers=bench.layers)
    scaled = relative(drawn, norms, bench.layers)
    found = {}
    for dose in bench.config.active_doses:
        with bench.steered(scaled, dose) as call:
            found[f"{dose:g}"] = mean_answer(bench.answers(call, fold), fold)
    return found


def _within_class(
    bench: Bench, fold: Fold, vectors: Mapping[int, Tensor], norms: Mapping[int, float]
) -> dict[str, Any]:
    """The mean answer at the test dose along differences between files of one class, of the trained vector's norm."""
    found = []
    for texts in _differences(bench.training_texts(fold))[: LEAST_DIRECTIONS + 1]:
        between = bench.between([texts], bench.layers)
        if all(bool(vector.any()) for vector in between.values()):
            with bench.steered(relative(between, norms, bench.layers), bench.config.test_dose) as call:
                found.append(mean_answer(bench.answers(call, fold), fold))
    return {"answers": found}


def _differences(texts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Two texts of one side each, from both sides in turn."""
    both = zip(*(combinations(side, 2) for side in zip(*texts, strict=True)), strict=True)
    return [two for turn in both for two in turn]


def _layers(bench: Bench, fold: Fold, vectors: Mapping[int, Tensor], norms: Mapping[int, float]) -> dict[str, Any]:
    """Answers with each decoder layer steered alone at the test dose; a layer whose vector is zero has none."""
    found = {}
    for layer in bench.trained_layers:
        if bool(vectors[layer].any()):
            with bench.steered(relative(vectors, norms, [layer]), bench.config.test_dose) as call:
                found[str(layer)] = bench.answers(call, fold)
    return found


def _robustness(bench: Bench, fold: Fold, vectors: Mapping[int, Tensor], norms: Mapping[int, float]) -> dict[str, Any]:
    """The vectors as trained times ``steering_scale``: whether the model stands it, and what is left of the prompt."""
    chosen, scale = {layer: vectors[layer] for layer in bench.layers}, bench.config.steering_scale
    doses = relative_dose(chosen, scale, norms)
    found: dict[str, Any] = {"relative_dose": {str(layer): dose for layer, dose in doses.items()}}
    with bench.steered(None) as call:
        before = bench.log_probabilities(call, fold)
    try:
        with bench.steered(chosen, scale) as call:
            after = bench.log_probabilities(call, fold)
    except ValueError as error:  # the dose overflows the dtype: refused before, or a NaN among the logits
        found["refused"] = str(error)
    else:
        found |= {"divergence": _divergence(after, before), "unsteered": _divergence(before, before)}
    with bench.steered(None) as call:
        again = bench.log_probabilities(call, fold)
    found["clean_after"] = all(torch.equal(a, b) for a, b in zip(again, before, strict=True))
    return found


def _texts(bench: Bench, fold: Fold, vectors: Mapping[int, Tensor], norms: Mapping[int, float]) -> dict[str, Any]:
    """What is written without steering, at the test dose and in the robustness case."""
    scaled = relative(vectors, norms, bench.layers)
    chosen = {layer: vectors[layer] for layer in bench.layers}
    settings: dict[str, tuple[Mapping[int, Tensor] | None, float]] = {
        "baseline": (None, 1.0),
        "steered": (scaled, bench.config.test_dose),
        "robustness": (chosen, bench.config.steering_scale),
    }
    found: dict[str, Any] = {}
    for name, (steering, scale) in settings.items():
        try:
            with bench.steered(steering, scale) as call:
                found[name] = {"texts": bench.texts(call, fold)}
        except ValueError as error:
            found[name] = {"refused": str(error)}
    found["truth"] = [case.vulnerable for case in fold.cases]
    return found


def judged_part(fold: Fold, judge: Judge) -> str:
    """The part that holds what this judge, in this version, says of a fold's texts."""
    asked = hashlib.sha256(f"{judge.name} {judge.version}".encode()).hexdigest()[:12]
    return f"{fold.name}/judged-{asked}"


def judged(bench: Bench, fold: Fold, written: Mapping[str, Any], judge: Judge) -> dict[str, Any]:
    """How the texts of a fold are judged, by setting; of a setting that was refused there are none."""
    style = bench.config.styles[0]
    questions = [
        Question(case.cwe, bench.prompt(style, case), case.code, STYLES[style].polarity) for case in fold.cases
    ]
    found: dict[str, Any] = {"judge": {"name": judge.name, "version": judge.version}}
    for setting in ("baseline", "steered", "robustness"):
        texts = written[setting].get("texts", ())
        judgements = [judge(text, question) for text, question in zip(texts, questions, strict=False)]
        found[setting] = {
            "labels": [judgement.label.value for judgement in judgements],
            "confidence": [judgement.confidence for judgement in judgements],
            "evidence": [list(judgement.evidence) for judgement in judgements],
        }
    return found


def _divergence(after: list[Tensor], before: list[Tensor]) -> dict[str, float]:
    """The mean over styles of every measure."""
    each = [asdict(compare(now, was)) for now, was in zip(after, before, strict=True)]
    return {name: sum(one[name] for one in each) / len(each) for name in each[0]}
