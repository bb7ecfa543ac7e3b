"""Checkpoints as GGUF files for llama.cpp, in float32: those of a few model types, written with the package ``gguf``.

llama.cpp's own converter knows far more model types and comes with no package. What is not known here, or would mean
something else in llama.cpp's graph than in transformers, is refused with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoConfig

from pytest_steering.errors import EngineError, one_line

REMEDY = "convert it with llama.cpp's convert_hf_to_gguf.py --outtype f32, and give the .gguf file as the model"
_SUFFIX, _WEIGHTS = ".gguf", "*.safetensors"
_PASSED_OVER = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""Buffers that old checkpoints hold beside their weights."""


def gguf_of(directory: Path, fresh: Path, context: int) -> Path:
    """The GGUF file that ``directory`` is, or holds without other weights; else one in ``fresh`` with its checkpoint.

    That is in float32. ``EngineError`` says why there is none. Where a model attends to a window of tokens,
    ``context`` has to fit in.
    """
    if directory.is_file():
        return directory
    files = sorted(path for path in directory.iterdir() if path.suffix.lower() == _SUFFIX)
    if not files or any(directory.glob(_WEIGHTS)):
        return write_model(directory, fresh / f"model{_SUFFIX}", context)
    if len(files) > 1:
        raise EngineError(f"{directory} holds {len(files)} GGUF files; give the path of one as the model")
    return files[0]


@dataclass(frozen=True)
class _Kind:
    """How llama.cpp has a model type."""

    arch: str
    """Its name there."""
    activation: str
    """The one of its MLP, which is no part of a GGUF file."""
    change: Callable[[str, Tensor, Any], Tensor] = lambda _name, values, _config: values
    """How a weight is laid out there."""
    rope: bool = True


def _interleaved(name: str, values: Tensor, config: Any) -> Tensor:
    """Queries and keys with the two halves of each rotated pair side by side, as the ``llama`` graph rotates them."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
    if heads is None:
        return values
    halves = values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:])
    return halves.transpose(1, 2).reshape(values.shape)


def _transposed(name: str, values: Tensor, _config: Any) -> Tensor:
    """The matrices of GPT-2 are stored the other way round."""
    turned = name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight"))
    return values.T if turned else values


_KINDS = {
    "qwen2": _Kind("qwen2", "silu"),
    "qwen3": _Kind("qwen3", "silu"),
    "llama": _Kind("llama", "silu", _interleaved),
    "gpt_bigcode": _Kind("starcoder", "gelu_pytorch_tanh", rope=False),
    "starcoder2": _Kind("starcoder2", "gelu_pytorch_tanh"),
    "gpt2": _Kind("gpt2", "gelu_new", _transposed, rope=False),
}


def write_model(directory: Path, path: Path, context: int) -> Path:
    """The file at ``path``, which now holds the checkpoint in ``directory``, without its tokenizer."""
    try:
        import gguf  # noqa: PLC0415 (an optional package)
    except ImportError:
        raise EngineError(
            "a checkpoint is converted for llama.cpp with the package gguf, which is not installed; "
            "run pip install 'pytest-steering[llama-cpp]'"
        ) from None
    try:
        config = AutoConfig.from_pretrained(directory)
    except Exception as error:  # whatever transformers raises of a config
        raise _cannot(directory, f"transformers cannot read its config ({one_line(error)})") from error
    kind = _kind(directory, config, context)
    writer = gguf.GGUFWriter(path, kind.arch)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    # Token ids go in and come out: llama.cpp needs to know how many there are, and no vocabulary.
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(config.vocab_size)
    for field, value in _fields(config, kind).items():
        add = writer.add_float32 if isinstance(value, float) else writer.add_uint32
        add(f"{kind.arch}.{field}", value)
    arch = {name: each for each, name in gguf.MODEL_ARCH_NAMES.items()}[kind.arch]
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    for name, values in _weights(directory):
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if stored is None:
            raise _cannot(directory, f"a {config.model_type} of llama.cpp has no tensor for {name!r}")
        writer.add_tensor(stored, kind.change(name, values.float(), config).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _kind(directory: Path, config: Any, context: int) -> _Kind:
    """How llama.cpp has this model; ``EngineError`` where it would be another model there."""
    kind = _KINDS.get(config.model_type)
    if kind is None:
        raise _cannot(directory, f"this package writes {', '.join(_KINDS)} and no {config.model_type}")
    activation = getattr(config, "activation_function", None) or config.hidden_act
    if activation != kind.activation:
        raise _cannot(directory, f"a {config.model_type} of llama.cpp has the activation {kind.activation}")
    if getattr(config, "quantization_config", None) is not None:
        raise _cannot(directory, "its weights are quantised")
    windowed = getattr(config, "use_sliding_window", True)
    window = getattr(config, "sliding_window", None) if windowed else None
    if window is not None and window < context:
        raise _cannot(directory, f"it attends to a window of {window} tokens, and a {kind.arch} of llama.cpp to all")
    if getattr(config, "scale_attn_by_inverse_layer_idx", False) or not getattr(config, "scale_attn_weights", True):
        raise _cannot(directory, f"its attention is scaled otherwise than that of a {kind.arch} of llama.cpp")
    if not getattr(config, "multi_query", True):
        raise _cannot(directory, "its heads have keys and values of their own, which it stores head by head")
    if kind.rope and _rope(config).get("rope_type", "default") != "default":
        raise _cannot(directory, f"its rotary embeddings are of type {_rope(config)['rope_type']!r}")
    return kind


def _fields(config: Any, kind: _Kind) -> dict[str, int | float]:
    """What a GGUF file says of a model's size, under llama.cpp's names."""
    heads = config.num_attention_heads
    shared = 1 if getattr(config, "multi_query", False) else heads
    fields: dict[str, int | float] = {
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": getattr(config, "intermediate_size", None) or _inner(config),
        "attention.head_count": heads,
        "attention.head_count_kv": getattr(config, "num_key_value_heads", None) or shared,
    }
    for name in ("layer_norm_epsilon", "norm_epsilon"):
        if hasattr(config, name):
            fields["attention.layer_norm_epsilon"] = float(getattr(config, name))
    if hasattr(config, "rms_norm_eps"):
        fields["attention.layer_norm_rms_epsilon"] = float(config.rms_norm_eps)
    if kind.rope:
        wide = getattr(config, "head_dim", None) or config.hidden_size // heads
        fields |= {"attention.key_length": wide, "attention.value_length": wide, "rope.dimension_count": wide}
        fields["rope.freq_base"] = float(_rope(config)["rope_theta"])
    return fields


def _inner(config: Any) -> int:
    return int(config.n_inner or 4 * config.hidden_size)


def _rope(config: Any) -> dict[str, Any]:
    """The rotary embeddings, as transformers 5 has them and as 4 does."""
    found = getattr(config, "rope_parameters", None)
    if found is not None:
        return dict(found)
    return {"rope_theta": config.rope_theta, **(getattr(config, "rope_scaling", None) or {})}


def _weights(directory: Path) -> Iterator[tuple[str, Tensor]]:
    """Every weight of the checkpoint by its name."""
    files = sorted(directory.glob(_WEIGHTS))
    if not files:
        raise _cannot(directory, "it holds no .safetensors file")
    try:
        for file in files:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                    if not name.endswith(_PASSED_OVER):
                        yield name, opened.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise _cannot(directory, f"its weights cannot be read ({one_line(error)})") from error


def _cannot(directory: Path, reason: str) -> EngineError:
    return EngineError(f"{directory} cannot be written for llama.cpp: {reason}; {REMEDY}")
