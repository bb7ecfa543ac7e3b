from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from pytest_steering.fixtures import hostile
from pytest_steering.fixtures.checkpoint import main, write_checkpoint
from transformers.utils import logging as transformers_logging

from pytest_steering import TargetError, load_target

AGAIN = "save or download the checkpoint again"
KEY = hostile.BROKEN_KEY

SENTENCES: dict[Callable[[Path], Path], str] = {
    hostile.config_without_weights: (
        "config.json only, no weights; use config:DIRECTORY to check shapes, or add model.safetensors"
    ),
    hostile.weights_of_another_name: (
        "transformers reads no weights from weights.safetensors; call the file model.safetensors"
    ),
    hostile.weights_for_llama_cpp: (
        "model.gguf is no sound GGUF file: it is cut short: it has 4 bytes and says that it goes on to 24; "
        "save or download it again"
    ),
    hostile.git_lfs_pointer: (
        "model.safetensors is not the file itself but git-lfs's pointer to it; fetch it with git lfs pull"
    ),
    hostile.missing_shard: (
        "model.safetensors.index.json names model-00002-of-00004.safetensors, which is missing; " + AGAIN
    ),
    hostile.truncated_shard: (
        "model-00002-of-00004.safetensors is cut short: it has 43,600 of 44,600 bytes, 1,000 are missing; "
        "save or download it again"
    ),
    hostile.truncated_header: (
        "model.safetensors is cut short: it has 100 of at least 6,640 bytes, at least 6,540 are missing; "
        "save or download it again"
    ),
    hostile.nan_weights: f"{KEY} holds 2 NaN or infinite values of 2048; {AGAIN}",
    hostile.missing_tensor: (
        f"the checkpoint lacks {KEY}, which would be filled with random numbers; save or download it again"
    ),
    hostile.wrong_shape: (
        f"{KEY} does not have the shape (64, 32) that the config gives it; "
        "correct config.json or save the checkpoint again"
    ),
    hostile.pickled_only: (
        "the weights are pickled (pytorch_model.bin), and reading a pickle can run code; "
        "convert them to safetensors, or pass --steering-trust-remote-code"
    ),
    hostile.unknown_model_type: (
        f"transformers {transformers.__version__} has no model type 'hyperdecoder9'; install a release that has it"
    ),
    hostile.remote_code: (
        "model type 'hyperdecoder9' comes with code of its own, which is not run unless trusted; "
        "read it, then pass --steering-trust-remote-code"
    ),
}


def refusal(path: Path) -> str:
    with pytest.raises(TargetError) as caught:
        load_target(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("write", SENTENCES, ids=lambda write: write.__name__)
def test_refused_in_one_sentence(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    path = write(tmp_path / "checkpoint")
    assert refusal(path) == f"{path}: {SENTENCES[write]}"
    assert not (path / "executed").exists()


def test_torn_config(tmp_path: Path) -> None:
    path = hostile.torn_config(tmp_path / "checkpoint")
    with pytest.raises(json.JSONDecodeError) as torn:
        json.loads((path / "config.json").read_text())
    assert refusal(path) == f"{path}: config.json is not valid JSON: {torn.value}; {AGAIN}"


def test_config_without_model_type(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "checkpoint")
    (path / "config.json").write_text("{}")
    assert refusal(path) == (f"{path}: config.json names no model_type; add the one that transformers knows it by")


def test_weights_that_are_no_safetensors(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "checkpoint")
    (path / "model.safetensors").write_bytes(b"\x04" + bytes(7) + b"html" + bytes(100))
    assert refusal(path) == (
        f"{path}: model.safetensors is no safetensors file "
        "(JSONDecodeError: Expecting value: line 1 column 1 (char 0)); save or download it again"
    )


@pytest.mark.parametrize(
    "header",
    [
        '{"a": {"data_offsets": [0, 4]}}',
        '{"a": {"dtype": "F32"}}',
        '{"a": {"dtype": "F32", "data_offsets": [0]}}',
        '{"a": {"dtype": "F32", "data_offsets": [0, 4, 8]}}',
        '{"a": {"dtype": "F32", "data_offsets": ["x", "y"]}}',
        '{"a": {"dtype": "F32", "data_offsets": 4}}',
        '{"a": 3}',
        '["a"]',
        "[" * 100_000,
    ],
    ids=lambda header: header[:40],
)
def test_headers_of_another_form(tmp_path: Path, header: str) -> None:
    path = write_checkpoint(tmp_path / "checkpoint")
    (path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
    said = refusal(path)
    assert said.startswith(f"{path}: model.safetensors is no safetensors file (")
    assert said.endswith("); save or download it again")


def test_a_config_that_is_nested_too_deeply(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "checkpoint")
    (path / "config.json").write_text("[" * 100_000)
    assert refusal(path).startswith(f"{path}: config.json is not valid JSON: ")


def test_index_that_names_nothing(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "checkpoint", max_shard_size="50KB")
    (path / "model.safetensors.index.json").write_text("{}")
    assert refusal(path) == (
        f"{path}: model.safetensors.index.json is no index of shards (KeyError: 'weight_map'); "
        "save or download it again"
    )


def test_trusted_code_runs(tmp_path: Path) -> None:
    path = hostile.remote_code(tmp_path / "checkpoint")
    target = load_target(str(path), trust_remote_code=True)
    assert type(target.model).__name__ == "HyperModel"
    assert (path / "executed").exists()


def test_weights_without_a_place_are_noted(tmp_path: Path) -> None:
    path = hostile.extra_tensor(tmp_path / "checkpoint")
    assert load_target(str(path)).notes == [
        "Starcoder2ForCausalLM has no place for surplus.weight, which the checkpoint holds"
    ]


@pytest.mark.parametrize("model_type", ["starcoder2", "gpt_bigcode", "qwen2", "mamba"])
def test_sound_checkpoint_loads_whole(tmp_path: Path, model_type: str) -> None:
    path = write_checkpoint(tmp_path / "checkpoint", model_type, max_shard_size="60KB")
    target = load_target(str(path))
    text = "def add(left, right):\n    return left + right\n"
    assert target.tokenizer.decode(target.tokenizer(text)["input_ids"]) == text
    assert len(target.tokenizer(text)["input_ids"]) < len(text)


def test_same_seed_writes_same_weights(tmp_path: Path) -> None:
    first, same, other = (
        (write_checkpoint(tmp_path / name, seed=seed) / "model.safetensors").read_bytes()
        for name, seed in (("first", 1), ("same", 1), ("other", 2))
    )
    assert first == same != other


def test_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "checkpoint"), "--model-type", "llama"]) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"wrote {tmp_path / 'checkpoint'}: a random llama with 320 tokens, ")
    assert line.count("\n") == 1


def test_loading_is_quiet_and_leaves_settings(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    transformers_logging.set_verbosity_warning()
    logging.getLogger("huggingface_hub").setLevel(logging.WARNING)
    transformers_logging.enable_progress_bar()
    before = _settings()
    path = hostile.extra_tensor(tmp_path / "checkpoint")
    capfd.readouterr()
    load_target(str(path))
    assert _settings() == before
    assert capfd.readouterr() == ("", "")


def _settings() -> tuple[object, ...]:
    names = ("transformers", "huggingface_hub")
    return (
        *(logging.getLogger(name).level for name in names),
        transformers_logging.is_progress_bar_enabled(),
        list(warnings.filters),
    )
