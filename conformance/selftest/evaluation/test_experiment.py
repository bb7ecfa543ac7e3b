from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.selftest.evaluation.small_study import finished_study, options, plant_pairs, small_config
from pytest_steering import SteeringPlan, __main__, load_target
from pytest_steering.adapters.registry import make_adapter
from pytest_steering.errors import SteeringError, TargetError
from pytest_steering.evaluation import UniversalSteeringConfig, UniversalSteeringExperiment, load_secllmholmes
from pytest_steering.evaluation.bench import Bench, random_direction, relative
from pytest_steering.evaluation.config import ExperimentError
from pytest_steering.evaluation.experiment import weights_hash
from pytest_steering.evaluation.folds import Fold, folds_of
from pytest_steering.evaluation.store import Store
from pytest_steering.evaluation.styles import STYLES, render
from pytest_steering.suite.encoding import prompt_ids
from pytest_steering.suite.forced_choice import forced_choice
from pytest_steering.targets.tiny.models import tiny_model
from pytest_steering.vectors import load_vectors


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_name": " "}, "model_name is empty"),
        ({"max_samples_per_cwe": 0}, "max_samples_per_cwe is 0; it must be at least 1"),
        ({"folds": 1}, "folds is 1; it must be at least 2"),
        ({"max_new_tokens": -1}, "max_new_tokens is -1; it must be at least 0"),
        ({"hidden_dim": 0}, "hidden_dim is 0; leave it out, it is measured"),
        ({"steering_scale": float("inf")}, "steering_scale is inf; give a finite number other than 0"),
        ({"doses": (0.1, 0.25)}, "doses are 0.1, 0.25; give 0 and at least two other"),
        ({"test_dose": 0.3}, "test_dose 0.3 is none of the doses 0.1, 0.25, 0.5, 1; choose one of them"),
        ({"steering_layers": (2, 2)}, "steering_layers are [2, 2]; give different layer indices"),
        ({"styles": ()}, "styles are []; give at least one"),
        ({"cwes": ()}, "cwes are none"),
        ({"parts": ()}, "parts are none"),
        ({"scheme": "loo"}, "scheme is 'loo'; choose one of crossed, few-shot"),
        ({"method": "mean"}, "method is 'mean'; choose one of difference-in-means, pca, logistic-probe"),
        ({"positions": "first"}, "positions is 'first'; choose one of all, last, prompt, generated"),
        ({"max_new_tokens": "50"}, "max_new_tokens is '50'; give a whole number"),
        ({"seed": True}, "seed is True; give a whole number"),
        ({"styles": "S1"}, "styles is 'S1'; give a tuple, each a text"),
        ({"scan_layers": 1}, "scan_layers is 1; give True or False"),
    ],
)
def test_config_says_what_cannot_be_meant(change: Mapping[str, Any], sentence: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        UniversalSteeringConfig(**({"model_name": "tiny:llama"} | dict(change)))
    assert str(caught.value).startswith(sentence)


def test_config_takes_what_json_gives() -> None:
    config = UniversalSteeringConfig(model_name="tiny:llama", doses=[0.0, 0.25, 1], cwes=["cwe-89"])  # type: ignore[arg-type]
    assert config.doses == (0.0, 0.25, 1)
    assert config.cwes == ("CWE-89",)
    assert config.active_doses == (0.25, 1)


def test_fingerprint_is_of_the_numbers_alone() -> None:
    config = UniversalSteeringConfig(model_name="a")
    assert config.fingerprint == UniversalSteeringConfig(model_name="a", output_dir="elsewhere").fingerprint
    assert config.fingerprint != UniversalSteeringConfig(model_name="a", seed=1).fingerprint
    assert config.steering_scale == 100
    assert config.max_new_tokens == 50
    assert config.random_directions == 19


def test_doses_are_multiples_of_the_residual_norm() -> None:
    vectors = {1: torch.tensor([3.0, 4.0]), 2: torch.tensor([0.0, 0.1])}
    scaled = relative(vectors, {1: 10.0, 2: 7.0}, [1, 2])
    assert [float(scaled[layer].norm()) for layer in (1, 2)] == pytest.approx([10.0, 7.0])
    torch.testing.assert_close(scaled[1], torch.tensor([6.0, 8.0]))


def test_random_directions_differ_and_repeat() -> None:
    settings: dict[str, Any] = {"hidden_size": 64, "layers": [1, 3]}
    first, again = random_direction(0, seed=5, **settings), random_direction(0, seed=5, **settings)
    others = [random_direction(1, seed=5, **settings), random_direction(0, seed=6, **settings)]
    assert all(torch.equal(first[layer], again[layer]) for layer in (1, 3))
    for vector in (first[3], *(other[1] for other in others)):
        assert abs(float(torch.cosine_similarity(first[1], vector, dim=0))) < 0.5
    assert abs(float(first[1].mean())) < 1e-6


@pytest.mark.parametrize(
    ("room", "asked", "size"), [(9, None, 8), (7, None, 4), (1, None, 1), (9, True, 1), (3, False, 2)]
)
def test_batches_are_as_large_as_fit(monkeypatch: pytest.MonkeyPatch, room: int, asked: bool | None, size: int) -> None:
    """So many rows of the longest prompt and its answer."""
    bench, folds = roomy_bench(monkeypatch, room, asked)
    assert bench.fitting(folds) == size


@pytest.mark.parametrize(
    ("room", "asked", "sentence"),
    [
        (0, None, r"1 prompts of \d+ tokens do not fit on cpu beside the weights; leave out the longest files"),
        (1, False, r"2 prompts of \d+ tokens do not fit on cpu beside the weights; allow memory_optimized"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(
    monkeypatch: pytest.MonkeyPatch, room: int, asked: bool | None, sentence: str
) -> None:
    bench, folds = roomy_bench(monkeypatch, room, asked)
    with pytest.raises(TargetError, match="^" + sentence):
        bench.fitting(folds)


def roomy_bench(monkeypatch: pytest.MonkeyPatch, room: int, asked: bool | None) -> tuple[Bench, tuple[Fold, ...]]:
    """The memory of its model is full when more than ``room`` rows are read at once."""
    data, _, _ = finished_study()
    target, config = load_target("tiny:llama"), small_config(data, Path(), memory_optimized=asked)
    dataset = load_secllmholmes(data, parts=["hand-crafted", "few-shot"])
    folds, _ = folds_of(dataset, config)
    bench = Bench(target, make_adapter("hooks", target.model, target.architecture), dataset, config, (1,), 1)
    longest = max(len(prompt_ids(target.tokenizer, bench.prompt("S1", case))) for fold in folds for case in fold.cases)

    def forward(input_ids: torch.Tensor) -> None:
        assert input_ids.shape[1] == longest + config.max_new_tokens
        if len(input_ids) > room:
            raise torch.OutOfMemoryError

    monkeypatch.setattr(target.model, "forward", forward)
    return bench, folds


def test_weights_hash_sees_one_changed_tensor() -> None:
    model = tiny_model("llama")
    before = weights_hash(model)
    assert before == weights_hash(tiny_model("llama"))
    with torch.no_grad():
        next(iter(model.parameters())).mul_(1.001)
    assert before != weights_hash(model)


def test_results_say_all_that_repeats_them() -> None:
    _, out, finished = finished_study()
    found = json.loads(finished.results.read_text())
    assert found["config"]["seed"] == 0
    assert len(found["config_hash"]) == len(found["data"]["sha256"]) == len(found["model"]["weights"]) == 64
    assert found["model"]["hidden_size"] == 32
    assert found["versions"]["torch"] == torch.__version__
    assert found["layers"] == [1, 2, 3]
    assert found["zero_is_identity"] is True
    assert sorted(found["pooled"]["random"]) == ["0.1", "0.25"]
    assert found["pooled"]["control"]["p"] is None
    assert found["pooled"]["test"]["p"] is None
    assert any("underpowered" in sentence for sentence in found["sentences"])
    architecture = load_target("tiny:llama").architecture
    vectors = load_vectors(out / "vectors" / "CWE-89-fold-1.safetensors", architecture, same_config=True)
    assert set(vectors) == {0, 1, 2, 3}


def test_scale_100_is_flagged_saturated_and_leaves_the_model_clean() -> None:
    robustness = finished_study()[2].summary.robustness
    assert robustness.relative_dose > 1
    assert robustness.saturated
    assert robustness.clean_after
    assert re.search(r": saturated, \d+% of the input dependence is left; the model is bit-equal", str(robustness))


def test_what_is_measured_is_what_the_model_answers() -> None:
    """Dose 0.1 of one fold, asked again by hand: steering, norms and answers are wired to the right pairs."""
    data, out, _ = finished_study()
    target = load_target("tiny:llama")
    part = json.loads((out / "parts/CWE-89/fold-1/doses.json").read_text())
    made = json.loads((out / "parts/CWE-89/fold-1/vectors.json").read_text())
    vectors = load_vectors(out / "vectors" / "CWE-89-fold-1.safetensors", target.architecture)
    steering = {layer: vectors[layer] / vectors[layer].norm() * made["norms"][str(layer)] for layer in (1, 2, 3)}
    cases = {case.name: case for case in load_secllmholmes(data, parts=["hand-crafted", "few-shot"]).cases()}
    asked = [cases[name] for name in made["test"]]
    assert all(case.vulnerable for case in asked)
    with make_adapter("hooks", target.model, target.architecture).steer(SteeringPlan(steering, 0.1)) as call:
        answers = forced_choice(call, target.tokenizer, [render(STYLES["S1"], case) for case in asked])
    assert part["0.1"]["answers"]["S1"]["vulnerable"] == pytest.approx(answers.tolist(), abs=1e-5)
    assert part["0.1"]["answers"] != part["baseline"]["answers"]


def test_resumed_results_are_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the middle of the sixth part and gone on with: finished parts are kept, not made again."""
    data, whole, _ = finished_study()
    written: list[str] = []
    write = Store.write

    def stopping(self: Store, name: str, content: Mapping[str, Any]) -> None:
        """After the fifth part is kept, and before anything has counted it."""
        written.append(name)
        write(self, name, content)
        if len(written) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Store, "write", stopping)
    experiment = UniversalSteeringExperiment(small_config(data, tmp_path))
    with pytest.raises(KeyboardInterrupt):
        experiment.run()
    assert (experiment.finished, experiment.total) == (5, 18)
    kept = {name: (tmp_path / "parts" / f"{name}.json").read_bytes() for name in written}
    monkeypatch.setattr(Store, "write", write)
    UniversalSteeringExperiment(small_config(data, tmp_path)).run()
    assert (tmp_path / "results.json").read_bytes() == (whole / "results.json").read_bytes()
    assert kept == {name: (tmp_path / "parts" / f"{name}.json").read_bytes() for name in written}


def test_another_configuration_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    data, whole, _ = finished_study()
    before = (whole / "results.json").read_bytes()
    with pytest.raises(ExperimentError, match=r"config steering_scale 100\.0, and this one has 7\.0"):
        UniversalSteeringExperiment(small_config(data, whole, steering_scale=7.0)).run()
    other = plant_pairs(tmp_path, scenarios=2)
    with pytest.raises(ExperimentError, match="with data "):
        UniversalSteeringExperiment(small_config(other, whole)).run()
    assert (whole / "results.json").read_bytes() == before


def test_hidden_dim_that_is_wrong_is_reported_and_not_used(tmp_path: Path) -> None:
    data, _, _ = finished_study()
    settings: dict[str, Any] = {"hidden_dim": 2048, "random_directions": 0, "max_new_tokens": 0, "scan_layers": False}
    finished = UniversalSteeringExperiment(small_config(data, tmp_path, **settings)).run()
    assert (
        "hidden_dim was given as 2048; the residual stream is 32 wide as measured, and that is used"
        in finished.summary.notes
    )
    assert finished.summary.pooled.control is None
    assert finished.summary.texts == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"styles": ("S9",)}, "there is no style 'S9'"),
        ({"model_name": "config:here"}, "config:here has shapes and no weights"),
        ({"steering_layers": (9,)}, "there is no decoder layer 9: model.layers has layers 0 to 3"),
        ({"data": Path("nowhere")}, "nowhere: there is no"),
    ],
)
def test_what_stands_in_the_way_is_a_sentence(tmp_path: Path, change: Mapping[str, Any], sentence: str) -> None:
    data, _, _ = finished_study()
    settings: dict[str, Any] = {"data": data, "output": tmp_path / "out", **change}
    with pytest.raises(SteeringError, match="^" + re.escape(sentence)) as caught:
        UniversalSteeringExperiment(small_config(**settings)).run()
    assert "\n" not in str(caught.value)


def test_command_ends_with_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The finished experiment is read, not run again."""
    data, whole, _ = finished_study()
    monkeypatch.setattr(sys, "argv", ["pytest_steering", *options(data, whole), "--quiet", "--no-pictures"])
    assert __main__.main() == 0
    printed, complaints = capsys.readouterr()
    assert complaints == ""
    lines = printed.splitlines()
    assert lines[0] == "tiny:llama, layers [1, 2, 3], dose 0.25 against none"
    told = [line for line in lines[1:] if line.startswith("beware: ")]
    assert lines[1 : 1 + len(told)] == told
    head = lines.index("") + 1
    assert [line.split()[0] for line in lines[head : head + 3]] == ["CWE", "CWE-89", "all"]
    assert "underpowered" in lines[head + 1]


def test_command_says_how_much_is_kept_after_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, _, _ = finished_study()

    def interrupted(self: UniversalSteeringExperiment, **_: Any) -> None:
        self._count, self.total = (lambda: 5), 14
        raise KeyboardInterrupt

    monkeypatch.setattr(UniversalSteeringExperiment, "run", interrupted)
    monkeypatch.setattr(sys, "argv", ["pytest_steering", *options(data, tmp_path)])
    assert __main__.main() == 130
    assert capsys.readouterr().err == (
        f"stopped: 5 of 14 parts are finished and kept in {tmp_path}; run the same command again to go on\n"
    )


def test_command_refuses_in_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest_steering", "experiment", "--model", "tiny:llama", "--folds", "0"])
    assert __main__.main() == 4
    assert capsys.readouterr().err == "folds is 0; it must be at least 2\n"
