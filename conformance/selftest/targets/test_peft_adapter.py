"""A directory of an adapter of PEFT is a spec: its base is named in it, and loaded like any other model."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_steering.fixtures.checkpoint import write_checkpoint

from pytest_steering import SpecError, TargetError, load_target
from pytest_steering.targets.peft_adapter import CONFIG, base_of, is_adapter
from pytest_steering.targets.spec import check_spec, parse_spec

HERE = importlib.util.find_spec("peft") is not None
needs_peft = pytest.mark.skipif(not HERE, reason="peft is not installed: pip install 'pytest-steering[models]'")


def _written(directory: Path, contents: str) -> Path:
    directory.mkdir()
    (directory / CONFIG).write_text(contents)
    return directory


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ("{", "adapter_config.json is not valid JSON"),
        ("[]", "names no base model; write the Hub id or the directory"),
        ("{}", "names no base model"),
        ('{"base_model_name_or_path": 3}', "names no base model"),
        ('{"base_model_name_or_path": "os:getcwd"}', "which is no model with weights"),
        ('{"base_model_name_or_path": "config:."}', "which is no model with weights"),
        ('{"base_model_name_or_path": "tiny:*"}', "which is no model with weights"),
        (
            '{"base_model_name_or_path": "./none"}',
            "its base model cannot be loaded: ./none: there is no such directory",
        ),
        ('{"base_model_name_or_path": "~nobody-of-this-name"}', "its base model cannot be loaded: "),
        ('{"base_model_name_or_path": "."}', "names another adapter as its base model"),
    ],
)
def test_a_base_that_cannot_be_meant(tmp_path: Path, contents: str, reason: str) -> None:
    spec = parse_spec(str(_written(tmp_path / "lora", contents)))
    with pytest.raises(TargetError, match=reason):
        base_of(spec)


def test_bases_that_can(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "base")
    for named in ("tiny:llama", str(tmp_path / "base"), "owner/name", "owner/longer-than-a-path-may-be" + "-x" * 200):
        lora = _written(tmp_path / named.replace("/", "_")[:100], json.dumps({"base_model_name_or_path": named}))
        assert base_of(parse_spec(str(lora))).text == named
    beside = _written(tmp_path / "lora", json.dumps({"base_model_name_or_path": "../base"}))
    assert Path(base_of(parse_spec(str(beside))).value).resolve() == tmp_path / "base"


def test_a_checkpoint_with_weights_of_its_own_is_no_adapter(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "base")
    (tmp_path / "base" / CONFIG).write_text("{}")
    assert not is_adapter(parse_spec(str(tmp_path / "base")))


def test_without_peft_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lora = _written(tmp_path / "lora", "{}")
    monkeypatch.setattr("pytest_steering.targets.spec.find_spec", lambda _name: None)
    with pytest.raises(SpecError) as caught:
        check_spec(parse_spec(str(lora)))
    assert str(caught.value) == (
        f"{lora} holds an adapter of PEFT, and peft is not installed: pip install 'pytest-steering[models]'"
    )


def _saved(directory: Path, base: str) -> Path:
    from pytest_steering.fixtures.kinds.peft import save  # noqa: PLC0415

    return save(directory, base)


@needs_peft
def test_it_is_loaded_on_its_base(tmp_path: Path) -> None:
    lora = _saved(tmp_path / "lora", "tiny:llama")
    target = load_target(str(lora))
    base: Any = load_target("tiny:llama").model
    assert (type(target.model).__name__, target.trained) == ("PeftModelForCausalLM", True)
    assert target.notes[0] == "an adapter of PEFT (LORA) on tiny:llama"
    ids = torch.arange(6).view(1, 6)
    assert not torch.equal(target.model(ids).logits, base(ids).logits)
    assert target.architecture.layers_path.endswith("model.layers")


@needs_peft
def test_weights_that_are_missing_or_of_another_base(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    lora = _saved(tmp_path / "lora", "tiny:llama")
    file = lora / "adapter_model.safetensors"
    weights = load_file(file)
    lost = sorted(weights)[0]
    save_file({name: tensor for name, tensor in weights.items() if name != lost}, file)
    with pytest.raises(TargetError, match="its weights do not belong to this base model"):
        load_target(str(lora))
    save_file({name: torch.ones(3, 3) for name in weights}, file)
    with pytest.raises(TargetError, match="PEFT cannot load it: RuntimeError"):
        load_target(str(lora))
    file.unlink()
    with pytest.raises(TargetError, match=r"there is no .*; save it again"):
        load_target(str(lora))
    (lora / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(TargetError, match="its weights are pickled, and reading a pickle can run code"):
        load_target(str(lora))
