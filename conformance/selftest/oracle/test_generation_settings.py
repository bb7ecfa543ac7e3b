"""What a checkpoint prefers when it generates decides no requirement, and is put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytest_steering.fixtures import soft_prompts
from pytest_steering.fixtures.preferring import PREFERENCES, preferring
from transformers import GenerationConfig

from conformance.selftest.samples import sample
from conformance.selftest.scenarios.harnesses import harness_of
from conformance.selftest.verdicts_of import verdicts
from pytest_steering.oracle.generation_settings import own_settings, settings_of
from pytest_steering.targets.tiny.models import tiny_model

MODELS = "pytest_steering.fixtures.preferring"
PROMPT_ONLY = "pytest_steering.fixtures.known_bad.tokens:PromptOnly"


@pytest.mark.parametrize("name", PREFERENCES)
def test_they_are_put_aside_and_put_back(name: str) -> None:
    model = preferring(PREFERENCES[name])
    theirs = model.generation_config
    with own_settings(model):
        mine: GenerationConfig = model.generation_config
        assert {setting: getattr(mine, setting) for setting in PREFERENCES[name]} == {
            setting: getattr(GenerationConfig(), setting) for setting in PREFERENCES[name]
        }
        assert mine.eos_token_id == theirs.eos_token_id
    assert model.generation_config is theirs


def test_what_somebody_else_sets_meanwhile_stays() -> None:
    model = tiny_model("llama")
    other = GenerationConfig()
    with own_settings(model):
        model.generation_config = other
    assert model.generation_config is other


def test_what_somebody_writes_into_them_shows() -> None:
    model = preferring({"num_beams": 2})
    with own_settings(model):
        model.generation_config.max_new_tokens = 3
    assert (model.generation_config.max_new_tokens, model.generation_config.num_beams) == (3, 2)


def test_those_of_a_model_in_a_wrapper_are_put_aside_too() -> None:
    model: Any = soft_prompts.embedded()
    model.generation_config, model.model.generation_config = GenerationConfig(), GenerationConfig(num_beams=2)
    with own_settings(model):
        assert model.model.generation_config.num_beams == GenerationConfig().num_beams
    assert model.model.generation_config.num_beams == 2


def test_a_checkpoint_without_preferences_has_none() -> None:
    assert settings_of(tiny_model("llama")) is None
    assert settings_of(preferring({"num_beams": 2})) is not None


@pytest.mark.parametrize("name", PREFERENCES)
def test_the_model_generates_all_the_same(name: str) -> None:
    plain, harness = harness_of(), harness_of(spec=f"{MODELS}:{name}")
    assert harness.unsteered.cannot_generate == ""
    inputs = plain.prompts.batch()
    assert harness.unsteered.generate(inputs).tolist() == plain.unsteered.generate(inputs).tolist()


@pytest.mark.slow
def test_a_right_adapter_conforms_and_one_that_steers_the_prompt_alone_does_not(tmp_path: Path) -> None:
    preferred = sample([*PREFERENCES], 2, "KNOWN_GOOD")
    models = [f"--steering-model={MODELS}:{name}" for name in preferred]
    adapters = ("--steering-adapter=hooks", f"--steering-adapter={PROMPT_ONLY}")
    chosen = ("-k", "every_pass or seeded or assisted or left_alone or generation_options")
    found = verdicts(tmp_path / "report.json", *models, *adapters, *chosen)
    assert len(found) == 2 * len(preferred)
    for name, row in found.items():
        if name.endswith(" hooks"):
            assert (name, row["failed"]) == (name, set())
        else:
            assert (name, "every-pass" in row["failed"]) == (name, True)
