from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from pytest_steering.fixtures.checkpoint import write_checkpoint
from torch import nn

from pytest_steering import SpecError, TargetError, load_target

MODELS = """
import torch
from torch import nn
from pytest_steering.zoo import tiny_model, tiny_tokenizer

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50)
    def forward(self, input_ids):
        return self.head(self.embed(input_ids))

plain = Plain
def model(): return tiny_model("llama").train()
def pair(): return tiny_model("llama"), tiny_tokenizer()
def number(): return 3
def triple(): return tiny_model("llama"), None, None
def raises(): raise RuntimeError("the GPU\\n  caught fire")
def linear(): return nn.Linear(2, 2)
"""


@pytest.fixture(autouse=True)
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "target_models.py").write_text(MODELS)
    monkeypatch.delitem(sys.modules, "target_models", raising=False)


def refusal(spec: str, **options: object) -> str:
    with pytest.raises(TargetError) as caught:
        load_target(spec, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tiny() -> None:
    target = load_target("tiny:llama")
    assert repr(target) == "Target('tiny:llama')"
    assert (target.spec, target.trained, target.has_weights, target.notes) == ("tiny:llama", False, True, [])
    assert (target.device, target.dtype) == (torch.device("cpu"), torch.float32)
    assert target.vocab_size == 264
    assert target.pad_token_id == target.tokenizer.pad_token_id == 0
    assert not target.model.training
    assert target.load_seconds > 0
    assert (target.architecture.layers_path, target.architecture.num_layers) == ("model.layers", 4)
    assert target.architecture is target.architecture


def test_dtype_is_that_asked_for() -> None:
    target = load_target("tiny:llama", dtype="bf16", device="cpu")
    assert target.dtype is torch.bfloat16
    assert {parameter.dtype for parameter in target.model.parameters()} == {torch.bfloat16}


def test_bad_options_are_the_users_error() -> None:
    for options in ({"dtype": "int4"}, {"device": "toaster"}):
        with pytest.raises(SpecError):
            load_target("tiny:llama", **options)  # type: ignore[arg-type]
    with pytest.raises(SpecError):
        load_target("tiny:lama")


def test_directory(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint", "llama")
    target = load_target("./checkpoint")
    assert (target.trained, target.has_weights, target.notes) == (True, True, [])
    assert len(target.tokenizer) == target.vocab_size == 320
    assert target.dtype is torch.float32
    assert load_target("./checkpoint", dtype="float16").dtype is torch.float16


def test_directory_without_tokenizer_says_so(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "checkpoint")
    for file in path.glob("*token*"):
        file.unlink()
    target = load_target("./checkpoint")
    assert target.tokenizer is None
    assert target.notes == ["no tokenizer in the checkpoint: token ids are drawn at random"]
    assert target.pad_token_id == 0


def test_config_has_shapes_and_no_weights(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint", "llama")
    target = load_target("config:checkpoint/config.json", dtype="bfloat16")
    assert (target.trained, target.has_weights, target.tokenizer) == (False, False, None)
    assert target.notes == ["no weights: shapes of 0.0 B parameters from config.json only"]
    assert target.dtype is torch.bfloat16
    assert target.architecture.hidden_size == 32


def test_config_that_builds_no_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert refusal("config:config.json") == (
        "config:config.json: this config builds no model: ValueError: model type 'vit' is no causal language model"
    )


def test_callable_that_returns_a_model() -> None:
    target = load_target("target_models:model")
    assert (target.trained, target.tokenizer, target.model.training) == (False, None, False)
    assert target.pad_token_id == 0


def test_callable_that_returns_a_pair() -> None:
    target = load_target("target_models:pair", dtype="float64")
    assert target.tokenizer.pad_token_id == 0
    assert target.dtype is torch.float64


def test_callable_that_returns_a_model_of_no_library() -> None:
    target = load_target("target_models:plain")
    assert isinstance(target.model, nn.Module)
    assert (target.vocab_size, target.pad_token_id) == (50, 0)


def test_callable_that_returns_something_else() -> None:
    remedy = "it must return a torch.nn.Module or (model, tokenizer)"
    assert refusal("target_models:number") == f"target_models:number: it returned an object of type int; {remedy}"
    assert refusal("target_models:triple") == f"target_models:triple: it returned an object of type tuple; {remedy}"


def test_callable_that_raises() -> None:
    assert refusal("target_models:raises") == (
        "target_models:raises: calling it raised RuntimeError: the GPU caught fire"
    )


def test_model_without_embedding() -> None:
    target = load_target("target_models:linear")
    with pytest.raises(TargetError) as caught:
        _ = target.vocab_size
    assert str(caught.value) == (
        "target_models:linear: Linear has no input embedding, so its vocabulary is unknown; "
        "give it a method get_input_embeddings() that returns a torch.nn.Embedding"
    )
