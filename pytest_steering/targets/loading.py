"""Checkpoints, from a directory or the Hub: checked file by file, loaded, and checked again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from pytest_steering.architecture.weights import held, kept_elsewhere, plain_parts, weights_of
from pytest_steering.errors import TargetError, one_line
from pytest_steering.targets.checkpoint import INDEX, Weights, check_config, check_weights
from pytest_steering.targets.gguf import check_gguf, read_gguf
from pytest_steering.targets.gguf_paths import gguf_in
from pytest_steering.targets.hub import snapshot
from pytest_steering.targets.memory import available_bytes, check_fits
from pytest_steering.targets.placing import Placing
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.sharding import Sharding
from pytest_steering.targets.spec import Spec, SpecKind
from pytest_steering.targets.weightless import auto_class, dtype_named

_TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model", "*.tiktoken", "tekken.json")


@dataclass(frozen=True)
class Loaded:
    """A trained model, its tokenizer or None, and sentences for the report."""

    model: nn.Module
    tokenizer: Any
    notes: list[str] = field(default_factory=list)


def load_checkpoint(
    spec: Spec,
    *,
    device: torch.device | None,
    dtype: torch.dtype | None,
    trust_remote_code: bool,
    placing: Placing | Sharding | None = None,
) -> Loaded:
    """The model of a directory or Hub id with every weight from the checkpoint and every value finite.

    Nothing is filled in: a weight that the checkpoint lacks, a file that is cut, a NaN, a model that does not
    fit into memory is a ``TargetError`` that names it.
    """
    name = spec.text
    origin: list[str] = []
    directory = Path(spec.value).expanduser()
    if spec.kind is SpecKind.HUB:
        directory, origin = snapshot(spec, dtype=dtype, trust_remote_code=trust_remote_code)
    elif (file := _gguf(name, directory)) is not None:
        return _from_gguf(name, file, device, dtype, placing)
    config = check_config(name, directory, trust_remote_code=trust_remote_code)
    weights = check_weights(name, directory, trust_remote_code=trust_remote_code)
    # The dtype that the config asks to be loaded in need not be that of the files.
    stated = dtype_named(config.get("dtype") or config.get("torch_dtype"))
    where, notes = _where(name, weights, device, dtype or stated, placing)
    model, more = _model(name, directory, where, dtype, trust_remote_code)
    tokenizer, missing = _tokenizer(directory, trust_remote_code)
    return Loaded(model, tokenizer, [*origin, *notes, *more, *missing])


def _gguf(name: str, path: Path) -> Path | None:
    """The GGUF file that the spec means: itself, or the one in a directory without other weights to read."""
    if not path.is_dir():
        return path
    if any(path.glob("*.safetensors")) or (path / INDEX).exists():
        return None
    return gguf_in(name, path)


def _from_gguf(
    name: str, file: Path, device: torch.device | None, dtype: torch.dtype | None, placing: Placing | Sharding | None
) -> Loaded:
    weights = check_gguf(name, file)
    # It is dequantised in memory as a whole, and spread after that.
    where, notes = _place(name, weights, torch.device("cpu") if placing is not None else device, dtype)
    try:
        model, info, tokenizer, more = read_gguf(file, device=where, dtype=dtype)
    except Exception as error:
        raise TargetError(f"{name}: transformers cannot load it: {one_line(error)}") from error
    _check_complete(name, model, info)
    _check_finite(name, model, dtype)
    if placing is not None:
        model = placing.spread(name, model)
        more = [str(placing), *more]
    return Loaded(model, tokenizer, [*notes, *more])


def _where(
    name: str,
    weights: Weights,
    device: torch.device | None,
    dtype: torch.dtype | None,
    placing: Placing | Sharding | None,
) -> tuple[torch.device | Placing | Sharding, list[str]]:
    """The device that the weights fit on, or the places of a device map: what fits where is looked at by accelerate."""
    if placing is None:
        return _place(name, weights, device, dtype)
    if placing.on_cpu:
        _place(name, weights, torch.device("cpu"), dtype)
    return placing, []


def _place(
    name: str, weights: Weights, device: torch.device | None, dtype: torch.dtype | None
) -> tuple[torch.device, list[str]]:
    """The device that the weights fit on: the one asked for, or the GPU, or the CPU."""
    needed = weights.bytes_in(dtype)
    cpu = torch.device("cpu")
    if weights.floats * 2 < needed:
        remedy = "pass --steering-dtype=bfloat16, or config:DIRECTORY to check shapes alone"
    else:
        remedy = "use a machine with more memory, or config:DIRECTORY to check shapes alone"
    check_fits(name, needed, cpu, remedy)
    if device is not None:
        check_fits(name, needed, device, remedy)
        return device, []
    if not torch.cuda.is_available():
        return cpu, []
    gpu = torch.device("cuda")
    if needed > available_bytes(gpu):
        return cpu, ["the weights do not fit on the GPU, so the model runs on the CPU"]
    return gpu, []


def _model(
    name: str,
    directory: Path,
    where: torch.device | Placing | Sharding,
    dtype: torch.dtype | None,
    trust_remote_code: bool,
) -> tuple[nn.Module, list[str]]:
    placing = None if isinstance(where, torch.device) else where
    spread = placing.options(name, directory, trust_remote_code=trust_remote_code) if placing is not None else {}
    try:
        with quiet_transformers():
            config = transformers.AutoConfig.from_pretrained(directory, trust_remote_code=trust_remote_code)
            model, info = auto_class(config).from_pretrained(
                directory,
                config=config,
                dtype=dtype or "auto",
                use_safetensors=None if trust_remote_code else True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **spread,
            )
            model = _settled(name, model, where).eval()
    except Exception as error:
        raise TargetError(f"{name}: transformers cannot load it: {one_line(error)}") from error
    _check_complete(name, model, info)
    _check_finite(name, model, dtype)
    unused = info["unexpected_keys"]
    notes = [f"{type(model).__name__} has no place for {_some(unused)}, which the checkpoint holds"] if unused else []
    if placing is not None:
        notes.insert(0, str(placing))
    return model, notes


def _settled(name: str, model: nn.Module, where: torch.device | Placing | Sharding) -> nn.Module:
    """The model where it is to be; one that is there already is not moved, as some quantised ones refuse to be."""
    if not isinstance(where, torch.device):
        return where.keep(name, model)
    there = all(weight.is_meta or weight.device.type == where.type for weight in weights_of(model))
    return model if there else model.to(where)


def _check_complete(name: str, model: nn.Module, info: dict[str, Any]) -> None:
    """Nothing was filled in: transformers draws random numbers for whatever a checkpoint lacks."""
    if info["missing_keys"]:
        raise TargetError(
            f"{name}: the checkpoint lacks {_some(info['missing_keys'])}, "
            "which would be filled with random numbers; save or download it again"
        )
    if info["mismatched_keys"]:
        # transformers 5 lists (key, stored shape, expected shape), transformers 4 keys alone.
        key = min(item if isinstance(item, str) else item[0] for item in info["mismatched_keys"])
        raise TargetError(
            f"{name}: {key} does not have the shape {tuple(model.state_dict()[key].shape)} that the config gives it; "
            "correct config.json or save the checkpoint again"
        )


def _check_finite(name: str, model: nn.Module, dtype: torch.dtype | None) -> None:
    remedy = "save or download the checkpoint again"
    if dtype is not None:
        remedy += f", or leave out --steering-dtype if {dtype} is too narrow for it"
    elsewhere = kept_elsewhere(model)
    for key, parameter in model.named_parameters():
        for part in plain_parts(held(elsewhere.get(key), key.rpartition(".")[2], parameter).detach()):
            if part.is_meta or not part.dtype.is_floating_point or part.dtype.itemsize == 1:
                continue
            bad = int((~torch.isfinite(part)).sum())
            if bad:
                raise TargetError(f"{name}: {key} holds {bad} NaN or infinite values of {parameter.numel()}; {remedy}")


def _tokenizer(directory: Path, trust_remote_code: bool) -> tuple[Any, list[str]]:
    """The tokenizer, or None and the reason: token ids can be drawn without one."""
    # Without this look, transformers 5 makes an empty tokenizer of the model's class out of nothing.
    if not any(next(directory.glob(pattern), None) for pattern in _TOKENIZER_FILES):
        return None, ["no tokenizer in the checkpoint: token ids are drawn at random"]
    try:
        with quiet_transformers():
            tokenizer = transformers.AutoTokenizer.from_pretrained(directory, trust_remote_code=trust_remote_code)
    except Exception as error:
        return None, [f"the tokenizer cannot be loaded, so token ids are drawn at random: {one_line(error)}"]
    if not len(tokenizer):
        return None, ["the tokenizer is empty: token ids are drawn at random"]
    return tokenizer, []


def _some(keys: Iterable[str]) -> str:
    ordered = sorted(keys)
    shown = ", ".join(ordered[:3])
    return shown if len(ordered) <= 3 else f"{shown} and {len(ordered) - 3} more"
