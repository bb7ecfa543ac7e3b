"""Model types are read from the source of transformers, and are those of the module that is imported."""

from __future__ import annotations

import sys

import pytest
from transformers.models.auto import modeling_auto

from pytest_steering.targets import type_names

NAMES = ["MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_is_what_is_imported(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = tuple(getattr(modeling_auto, name))
    assert type_names.type_names(name) == wanted
    monkeypatch.delitem(sys.modules, modeling_auto.__name__)
    assert type_names.type_names(name) == type_names._written()[name] == wanted


def test_what_the_source_does_not_spell_out_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type_names, "_written", dict)
    assert type_names.type_names(NAMES[0]) == tuple(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
