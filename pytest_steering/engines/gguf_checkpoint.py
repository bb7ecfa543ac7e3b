"""A checkpoint as the GGUF file that llama.cpp loads: float32, token ids in place of a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from pytest_steering.errors import EngineError


@dataclass(frozen=True)
class _Kind:
    """How llama.cpp has one model type of transformers."""

    name: str
    """Its name for it."""
    interleaved: bool = False
    """Rotary pairs lie beside each other, where transformers has them half a head apart."""


_KINDS = {
    "llama": _Kind("LLAMA", interleaved=True),
    "mistral": _Kind("LLAMA", interleaved=True),
    "qwen2": _Kind("QWEN2"),
    "qwen3": _Kind("QWEN3"),
    "starcoder2": _Kind("STARCODER2"),
}


def gguf_of(directory: Path, fresh: Path) -> Path:
    """The GGUF file in ``directory``, or ``fresh`` with what its safetensors hold.

    ``EngineError`` for a type that needs more than to be written under other names.
    """
    if directory.is_file():
        return directory
    there = sorted(directory.glob("*.gguf"))
    if there:
        return there[0]
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    kind = _KINDS.get(config.get("model_type", ""))
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if kind is None or rope.get("rope_type", "default") != "default":
        raise EngineError(
            f"{directory}: a {config.get('model_type')!r} checkpoint is not converted here; known are "
            f"{', '.join(_KINDS)} with plain rotary positions. Convert it with llama.cpp and give the .gguf file"
        )
    weights: dict[str, Tensor] = {}
    for file in sorted(directory.glob("*.safetensors")):
        weights |= load_file(file)
    _write(fresh, config, kind, weights)
    return fresh


def _write(path: Path, config: Mapping[str, Any], kind: _Kind, weights: Mapping[str, Tensor]) -> None:
    import gguf  # noqa: PLC0415 (an optional package)

    which = gguf.MODEL_ARCH[kind.name]
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    few = config.get("num_key_value_heads") or heads
    width = config.get("head_dim") or config["hidden_size"] // heads
    rope = config.get("rope_parameters") or {}
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[which])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(layers)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(few)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0))
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    else:
        writer.add_layer_norm_eps(config["norm_epsilon"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
    names = gguf.get_tensor_name_map(which, layers)
    for name, tensor in weights.items():
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is None:
            raise EngineError(f"{path}: llama.cpp has no place for the weight {name!r}: convert it with llama.cpp")
        value = tensor.to(torch.float32)
        if kind.interleaved and ".q_proj." in name:
            value = _interleaved(value, heads)
        if kind.interleaved and ".k_proj." in name:
            value = _interleaved(value, few)
        writer.add_tensor(known, np.ascontiguousarray(value.numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _interleaved(value: Tensor, heads: int) -> Tensor:
    """Each head's rows with the two of a rotary pair beside each other."""
    rows = value.shape[0] // heads
    return value.reshape(heads, 2, rows // 2, *value.shape[1:]).transpose(1, 2).reshape(value.shape)
