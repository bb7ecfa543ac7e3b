from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import pytest
import torch
from pytest_steering.fixtures.training import pairs
from pytest_steering.fixtures.training.language import (
    CWES,
    TEMPLATES,
    Scenario,
    question,
    scenarios,
    training_scenarios,
)
from pytest_steering.fixtures.training.measure import accuracy, effects, inputs_of, preference
from pytest_steering.fixtures.training.recipe import MODEL_TYPES, Recipe
from pytest_steering.fixtures.training.tokens import train_tokenizer
from pytest_steering.fixtures.training.train import train_model
from pytest_steering.fixtures.training.writing import write_checkpoint
from tokenizers import Tokenizer

from conformance.selftest.places import TRAINED
from conformance.selftest.samples import everything
from pytest_steering.evaluation.scenarios import Pair, embedded_root, load_secllmholmes
from pytest_steering.evaluation.styles import STYLES, render
from pytest_steering.targets.target import Target, load_target


@pytest.fixture(scope="module", params=MODEL_TYPES)
def trained(request: pytest.FixtureRequest) -> Target:
    return load_target(str(TRAINED / request.param), device="cpu")


@pytest.fixture(scope="module")
def embedded() -> tuple[Pair, ...]:
    return load_secllmholmes(embedded_root(), parts=["hand-crafted"]).pairs


@pytest.fixture
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_sums_are_of_the_files_that_are_there() -> None:
    lines = (TRAINED / "SHA256SUMS").read_text().splitlines()
    stated = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = [path for path in sorted(TRAINED.rglob("*")) if path.is_file() and path.name != "SHA256SUMS"]
    found = {path.relative_to(TRAINED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found == stated


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_checkpoint_is_small_whole_and_no_pickle(model_type: str) -> None:
    files = {path.name: path.stat().st_size for path in (TRAINED / model_type).iterdir()}
    assert sum(files.values()) < 1_000_000
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    assert {Path(name).suffix for name in files} == {".md", ".json", ".safetensors"}


def test_loads_in_single_precision_without_a_note(trained: Target) -> None:
    assert (trained.trained, trained.notes, trained.dtype) == (True, [], torch.float32)
    assert (trained.architecture.num_layers, trained.architecture.steering_layers) == (4, (1, 2, 3))
    assert len(trained.tokenizer) == trained.vocab_size == 512
    assert [len(trained.tokenizer.encode(word)) for word in (" yes", " no")] == [1, 1]


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_tokens_are_those_of_the_file(model_type: str, embedded: tuple[Pair, ...]) -> None:
    """transformers replaces the pre-tokenizer of some model types by its own, and the model would read other tokens."""
    loaded = load_target(str(TRAINED / model_type), device="cpu").tokenizer
    kept = Tokenizer.from_file(str(TRAINED / model_type / "tokenizer.json"))
    assert len(embedded) == 80
    for pair in embedded:
        prompt = question(pair.vulnerable.code, pair.cwe)
        assert loaded.encode(prompt) == kept.encode(prompt).ids


def test_answers_are_better_than_chance_with_room_above(trained: Target, embedded: tuple[Pair, ...]) -> None:
    """80 pairs: at chance, 60 % of 160 answers are right once in a hundred times."""
    right = 0
    for side in (True, False):
        cases = [pair.vulnerable if side else pair.patched for pair in embedded]
        prompts = [render(STYLES["S1"], case) for case in cases]
        preferred = preference(trained.model, trained.tokenizer, inputs_of(trained.tokenizer, prompts))
        right += int(((preferred > 0) == side).sum())
    assert 0.7 <= right / (2 * len(embedded)) <= 0.99


def test_answer_goes_on_to_a_sentence_and_ends(trained: Target) -> None:
    tokenizer = trained.tokenizer
    scenario = scenarios(3, "CWE-89", 1)[0]
    inputs = inputs_of(tokenizer, [question(scenario.vulnerable, scenario.cwe)])
    written = trained.model.generate(**inputs, max_new_tokens=50, do_sample=False)  # type: ignore[operator]
    answer = tokenizer.decode(written[0, inputs["input_ids"].shape[1] :])
    assert answer.startswith((" yes", " no"))
    assert "SQL injection" in answer
    assert answer.endswith("</s>")


def test_trained_direction_moves_the_answer_further_than_19_random_ones(trained: Target) -> None:
    (effect,) = effects(trained, doses=[0.25], build=2, n=1)
    assert len(effect.random) == 19
    assert effect.shift > 2 * max(map(abs, effect.random))


def test_answer_follows_the_dose(trained: Target) -> None:
    found = effects(trained, doses=(-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5), build=2, n=1, controls=0)
    shifts = [effect.shift for effect in found]
    assert shifts[3] == 0
    assert all(low < high for low, high in pairwise(shifts)), shifts


def test_embedded_tree_is_what_the_language_gives() -> None:
    root = embedded_root()
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    files = pairs.embedded_files()
    assert there == {*files, "README.md"}
    assert {name for name, text in files.items() if (root / name).read_bytes() != text.encode()} == set()


def test_embedded_prompts_are_what_the_models_were_trained_on(embedded: tuple[Pair, ...]) -> None:
    assert len(embedded) == len(CWES) * pairs.PAIRS_PER_CWE
    for pair in embedded:
        for case in (pair.vulnerable, pair.patched):
            assert render(STYLES["S1"], case) == question(case.code, case.cwe)


@pytest.mark.parametrize("cwe", CWES)
def test_training_never_sees_what_is_held_out(cwe: str) -> None:
    asked, example = pairs.embedded_scenarios(cwe)
    held_out = [*asked, example, *scenarios(1, cwe, 80)]
    keys = {scenario.key for scenario in held_out}
    texts = {_digest(text) for scenario in held_out for text in (scenario.vulnerable, scenario.patched)}
    drawn = list(islice(training_scenarios(Recipe.seed, cwe), _drawn_per_cwe()))
    assert len(drawn) == _drawn_per_cwe() > 100
    for scenario in drawn:
        assert scenario.key not in keys
        assert not {_digest(scenario.vulnerable), _digest(scenario.patched)} & texts


@pytest.mark.parametrize("cwe", CWES)
def test_scenarios_are_fresh_distinct_and_repeatable(cwe: str) -> None:
    found = scenarios(5, cwe, 400)
    assert found[:80] == scenarios(5, cwe, 80)
    assert len({scenario.key for scenario in found}) == len(found) == 400
    assert {scenario.template for scenario in found} == {template.name for template in TEMPLATES[cwe]}
    others = {scenario.key for scenario in scenarios(6, cwe, 80)}
    assert len(others & {scenario.key for scenario in found[:80]}) < 16  # some templates have but 500 held-out keys


def test_a_pair_differs_in_the_lines_that_decide() -> None:
    for cwe in CWES:
        for scenario in scenarios(7, cwe, 20):
            before, after = (set(code.splitlines()) for code in (scenario.vulnerable, scenario.patched))
            assert scenario.vulnerable != scenario.patched
            assert len(before - after) <= 2, scenario.template
            assert len(after - before) <= 2, scenario.template
            assert "$" not in scenario.vulnerable + scenario.patched + scenario.reason + scenario.fixed


def test_python_code_parses() -> None:
    python = [s for cwe in CWES for s in scenarios(8, cwe, 20) if s.language == "python"]
    assert len(python) >= 20
    for scenario in python:
        ast.parse(scenario.vulnerable)
        ast.parse(scenario.patched)


@pytest.mark.usefixtures("_one_thread")
def test_training_repeats_bit_for_bit() -> None:
    tokenizer = train_tokenizer("qwen2", 0)
    models = [train_model("qwen2", tokenizer, Recipe(steps=2, pairs=2)) for _ in range(2)]
    for first, second in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(first, second)


@pytest.mark.slow
@pytest.mark.skipif(not everything("SAMPLES"), reason="a minute of training: SAMPLES=all asks for it")
@pytest.mark.usefixtures("_one_thread")
def test_retrained_model_behaves_like_the_kept_one(tmp_path: Path) -> None:
    """A third of the steps: better than chance, and steered by its own direction as the kept one is."""
    tokenizer = train_tokenizer("gpt_bigcode", 0)
    path = write_checkpoint(tmp_path / "again", train_model("gpt_bigcode", tokenizer, Recipe(steps=130)), tokenizer)
    target = load_target(str(path), device="cpu")
    assert sum(accuracy(target, n=20).values()) / len(CWES) > 0.65
    found = effects(target, doses=(-0.25, 0.25), n=2)
    assert [effect.rank for effect in found] == [0, 0]
    assert found[0].shift < 0 < found[1].shift


def _drawn_per_cwe() -> int:
    """How many scenarios of each CWE the kept models were trained on."""
    return Recipe.steps * Recipe.pairs // len(CWES)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_held_out_is_decided_by_the_key_alone() -> None:
    """One scenario in eight, and whatever its slots and noise are."""
    drawn: list[Scenario] = list(islice(training_scenarios(1, "CWE-787"), 200))
    assert [scenario.held_out for scenario in drawn] == [False] * 200
    assert [scenario.held_out for scenario in scenarios(1, "CWE-787", 20)] == [True] * 20
