"""llama.cpp as an engine, without llama.cpp: what a plan becomes, and which checkpoints can be run."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conformance.selftest.places import TRAINED
from pytest_steering import Architecture, Positions, SteeringPlan, load_target
from pytest_steering.engines.control_vectors import buffer_of, parts
from pytest_steering.engines.gguf_models import gguf_of, write_model
from pytest_steering.engines.protocol import Request
from pytest_steering.engines.registry import find_engine
from pytest_steering.errors import EngineError, SpecError
from pytest_steering.targets.directories import directory_of

CONTEXT = 256


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    return load_target("tiny:llama").architecture


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of a checkpoint to be changed."""
    copy = tmp_path / "checkpoint"
    copy.mkdir()
    for file in (TRAINED / "qwen2").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def plan(architecture: Architecture, *layers: int, scale: float = 1.0) -> SteeringPlan:
    def vector(layer: int) -> torch.Tensor:
        return torch.randn(architecture.hidden_size, generator=torch.Generator().manual_seed(layer))

    return SteeringPlan({layer: vector(layer) for layer in layers}, scale)


def changed(directory: Path, **fields: Any) -> Path:
    """The checkpoint with other fields in its config."""
    config = directory / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | fields), encoding="utf-8")
    return directory


# Plans


def test_the_buffer_starts_at_layer_1(architecture: Architecture) -> None:
    asked = plan(architecture, 1, 3, scale=-0.5)
    buffer = buffer_of(asked, architecture)
    assert buffer is not None
    numbers = np.frombuffer(buffer.numbers, np.float32).reshape(architecture.num_layers - 1, -1)
    assert buffer.length == numbers.size
    assert (buffer.first, buffer.last) == (1, 3)
    assert not numbers[1].any()
    for layer in (1, 3):
        assert np.array_equal(numbers[layer - 1], (-0.5 * asked.vectors[layer]).numpy())


def test_scale_0_is_no_plan(architecture: Architecture) -> None:
    assert buffer_of(plan(architecture, 1, scale=0.0), architecture) is None


def test_the_same_numbers_are_the_same_plan(architecture: Architecture) -> None:
    asked = plan(architecture, 2)
    before = buffer_of(asked, architecture)
    assert before == buffer_of(plan(architecture, 2), architecture)
    asked.vectors[2][0] += 1
    assert before != buffer_of(asked, architecture)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_llama_cpp_would_take_is_refused(architecture: Architecture, number: float) -> None:
    asked = plan(architecture, 2)
    asked.vectors[2][5] = number
    with pytest.raises(ValueError, match="layer 2 holds a NaN or an infinity"):
        buffer_of(asked, architecture)


def test_a_plan_that_does_not_fit(architecture: Architecture) -> None:
    last, wide = architecture.num_layers, architecture.hidden_size
    for wrong, sentence in (
        (SteeringPlan({1: torch.ones(wide - 1)}), f"has {wide - 1} elements"),
        (SteeringPlan({last: torch.ones(wide)}), f"there is no decoder layer {last}"),
        (plan(architecture, 0, 1), "layer 0 cannot be steered by a control vector: llama.cpp has none for layer 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            buffer_of(wrong, architecture)
    with pytest.raises(ValueError, match=r"layer 2 cannot be steered .* adds none there in this model"):
        buffer_of(plan(architecture, 1, 2), architecture, {1, 3})


@pytest.mark.parametrize(
    ("positions", "prompt", "generated"),
    [
        (Positions.ALL, [(0, 3, True)], True),
        (Positions.PROMPT, [(0, 3, True)], False),
        (Positions.LAST, [(0, 2, False), (2, 3, True)], True),
        (Positions.GENERATED, [(0, 3, False)], True),
    ],
)
def test_a_prompt_is_cut_where_steering_begins(
    architecture: Architecture, positions: Positions, prompt: Any, generated: bool
) -> None:
    asked = replace(plan(architecture, 1), positions=positions)
    assert parts(Request((7, 8, 9), asked)) == (prompt, generated)


def test_the_last_of_one_token_is_all_of_it(architecture: Architecture) -> None:
    assert parts(Request((7,), replace(plan(architecture, 1), positions=Positions.LAST))) == ([(0, 1, True)], True)


# Checkpoints


@pytest.mark.parametrize("spec", [str(TRAINED / "qwen2"), "tiny:llama"], ids=["qwen2", "llama"])
def test_what_is_written_is_the_same_model(spec: str, tmp_path: Path) -> None:
    """As transformers reads it, which needs a vocabulary for the other types."""
    target = load_target(spec)
    made = tmp_path / "made"
    made.mkdir()
    written = write_model(directory_of(target, made), tmp_path / "model.gguf", CONTEXT)
    again = load_target(str(written))
    ids = torch.arange(3, 12)[None]
    with torch.no_grad():
        assert torch.equal(target.model(ids).logits, again.model(ids).logits)
    assert directory_of(again, tmp_path) == written


def test_a_gguf_file_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    assert gguf_of(file, tmp_path, CONTEXT) == file
    assert gguf_of(tmp_path, tmp_path, CONTEXT) == file
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(EngineError, match="holds 2 GGUF files; give the path of one"):
        gguf_of(tmp_path, tmp_path, CONTEXT)


def test_weights_beside_a_gguf_file_are_what_is_judged(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "quantised.gguf").write_bytes(b"GGUF")
    assert gguf_of(checkpoint, tmp_path, CONTEXT) == tmp_path / "model.gguf"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model_type": "bloom"}, "this package writes qwen2, [a-z0-9_, ]* and no bloom"),
        ({"hidden_act": "gelu"}, "a qwen2 of llama.cpp has the activation silu"),
        ({"use_sliding_window": True, "sliding_window": 8}, "it attends to a window of 8 tokens"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}}, "are of type 'yarn'"),
        ({"quantization_config": {"quant_method": "awq"}}, "its weights are quantised"),
        ({"num_hidden_layers": 3, "layer_types": None}, "a qwen2 of llama.cpp has no tensor for 'model.layers.3"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_would_be_another_model_there(
    checkpoint: Path, tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(EngineError, match=reason) as raised:
        write_model(changed(checkpoint, **fields), tmp_path / "model.gguf", CONTEXT)
    assert str(raised.value).startswith(f"{checkpoint} cannot be written for llama.cpp: ")
    assert str(raised.value).endswith("--outtype f32, and give the .gguf file as the model")


def test_no_weights(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"short")
    with pytest.raises(EngineError, match="its weights cannot be read"):
        write_model(checkpoint, tmp_path / "model.gguf", CONTEXT)
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(EngineError, match=r"it holds no [.]safetensors file"):
        write_model(checkpoint, tmp_path / "model.gguf", CONTEXT)


def test_without_the_bindings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    monkeypatch.delitem(sys.modules, "pytest_steering.engines.llama_cpp", raising=False)
    with pytest.raises(
        SpecError, match=r"'llama-cpp' cannot be imported .* pip install 'pytest-steering\[llama-cpp\]'"
    ):
        find_engine("llama-cpp")
