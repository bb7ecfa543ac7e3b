"""Generation settings as public checkpoints have them: none decides a requirement, and each is a use that is judged."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_steering.fixtures.families import FAMILIES, small
from pytest_steering.fixtures.preferring import preferring

from conformance.selftest.scenarios.harnesses import BAD, harness_of
from pytest_steering.errors import Violation
from pytest_steering.oracle.generation_settings import TOKENS, settings_of
from pytest_steering.oracle.unsteered import Unsteered
from pytest_steering.scenarios.blocks import session_of
from pytest_steering.scenarios.judging import judge
from pytest_steering.scenarios.space import Scenario
from pytest_steering.targets.target import Target

MODELS = "pytest_steering.fixtures.families"
ASKED = Scenario.of(run="generate", options="checkpoints")
FACTS = {*TOKENS, "transformers_version"}


def test_there_are_about_fifty() -> None:
    assert len(FAMILIES) >= 50


def _generated(settings: dict[str, Any]) -> list[list[int]]:
    unsteered = Unsteered.of(Target("it", preferring(settings)))
    assert unsteered.cannot_generate == ""
    found: list[list[int]] = unsteered.generate(unsteered.prompts.batch()).tolist()
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_the_model_generates_by_the_suites_own_settings(name: str) -> None:
    settings = small(FAMILIES[name])
    facts = {setting: value for setting, value in settings.items() if setting in FACTS}
    assert _generated(settings) == _generated(facts)
    assert (settings_of(preferring(settings)) is None) == (facts == settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, settings in FAMILIES.items() if set(settings) - FACTS])
def test_a_right_adapter_is_steered_by_its_own_settings_and_a_wrong_one_is_not(name: str) -> None:
    judge(harness_of(spec=f"{MODELS}:{name}"), session_of(ASKED))
    with pytest.raises(Violation):
        judge(harness_of(f"{BAD}.tokens:PromptOnly", spec=f"{MODELS}:{name}"), session_of(ASKED))
