"""A checkpoint's files, read before any weight is: what is there, what is torn, how many bytes it needs."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from pytest_steering.errors import TargetError, one_line

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
TRUST = "--steering-trust-remote-code"

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_ODD = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What JSON of another form than expected raises."""
_FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


@dataclass(frozen=True)
class Weights:
    """The weight files of a checkpoint and the sizes that their headers state.

    ``floats`` counts the elements of floating-point tensors, ``float_bytes`` what those take as stored, and
    ``other_bytes`` what all other tensors take.
    """

    files: tuple[str, ...]
    floats: int = 0
    float_bytes: int = 0
    other_bytes: int = 0

    def bytes_in(self, dtype: torch.dtype | None) -> int:
        """The bytes that the weights take in memory in ``dtype``, or as they are stored."""
        return self.other_bytes + (self.floats * dtype.itemsize if dtype else self.float_bytes)


def check_config(name: str, directory: Path, *, trust_remote_code: bool) -> dict[str, Any]:
    """The checkpoint's config.json, whose model type transformers can build; ``TargetError`` otherwise."""
    path = directory / "config.json"
    if not path.is_file():
        raise TargetError(f"{name}: there is no config.json; save or download the checkpoint again")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TargetError(
            f"{name}: config.json is not valid JSON: {one_line(error, kind=False)}; "
            "save or download the checkpoint again"
        ) from None
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(model_type, str) or not model_type:
        raise TargetError(f"{name}: config.json names no model_type; add the one that transformers knows it by")
    if model_type in transformers.CONFIG_MAPPING or trust_remote_code:
        return dict(config)
    if config.get("auto_map"):
        raise TargetError(
            f"{name}: model type {model_type!r} comes with code of its own, which is not run unless trusted; "
            f"read it, then pass {TRUST}"
        )
    raise TargetError(
        f"{name}: transformers {transformers.__version__} has no model type {model_type!r}; "
        "install a release that has it"
    )


def choose_weights(name: str, present: Collection[str], *, trust_remote_code: bool) -> str:
    """The file to read weights from, of those ``present``: safetensors first, pickles only when trusted."""
    if SINGLE in present:
        return SINGLE
    if INDEX in present:
        return INDEX
    pickles = sorted(file for file in present if file.endswith(_PICKLES) and file != "training_args.bin")
    if pickles and trust_remote_code:
        return pickles[0]
    if pickles:
        raise TargetError(
            f"{name}: the weights are pickled ({pickles[0]}), and reading a pickle can run code; "
            f"convert them to safetensors, or pass {TRUST}"
        )
    others = sorted(file for file in present if file.endswith((".safetensors", ".gguf")))
    if others and others[0].endswith(".gguf"):
        raise TargetError(
            f"{name}: its weights are a GGUF file ({others[0]}); download it, and give its path as the model"
        )
    if others:
        raise TargetError(f"{name}: transformers reads no weights from {others[0]}; call the file {SINGLE}")
    raise TargetError(f"{name}: config.json only, no weights; use config:DIRECTORY to check shapes, or add {SINGLE}")


def check_weights(name: str, directory: Path, *, trust_remote_code: bool) -> Weights:
    """The weights that the directory holds in full; ``TargetError`` names the file that is missing or cut."""
    present = {path.name for path in directory.iterdir() if path.is_file()}
    first = choose_weights(name, present, trust_remote_code=trust_remote_code)
    if first.endswith(_PICKLES):
        files = sorted(file for file in present if file.endswith(_PICKLES))
        return Weights(tuple(files), float_bytes=sum((directory / file).stat().st_size for file in files))
    files = [SINGLE] if first == SINGLE else shards(name, directory / INDEX)
    for file in files:
        if file not in present:
            raise TargetError(f"{name}: {INDEX} names {file}, which is missing; save or download the checkpoint again")
    tensors = [tensor for file in files for tensor in _tensors(name, directory / file)]
    float_bytes = sum(size for dtype, size in tensors if dtype in _FLOAT_BYTES)
    return Weights(
        files=tuple(files),
        floats=sum(size // _FLOAT_BYTES[dtype] for dtype, size in tensors if dtype in _FLOAT_BYTES),
        float_bytes=float_bytes,
        other_bytes=sum(size for _, size in tensors) - float_bytes,
    )


def shards(name: str, index: Path) -> list[str]:
    """The shard files that a safetensors index names, in order; ``TargetError`` when it cannot be read."""
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return sorted(set(weight_map.values()))
    except (OSError, *_ODD) as error:
        raise TargetError(
            f"{name}: {index.name} is no index of shards ({one_line(error)}); save or download it again"
        ) from None


_LFS = b"version https://git-lfs.github.com/spec/v1"[:8]


def _tensors(name: str, path: Path) -> list[tuple[str, int]]:
    """Dtype and bytes of each tensor in a safetensors file that is as long as its header says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        if first == _LFS:
            raise TargetError(
                f"{name}: {path.name} is not the file itself but git-lfs's pointer to it; fetch it with git lfs pull"
            )
        length = int.from_bytes(first, "little")
        if size < 8 + length:
            # A cut inside the header leaves no way to tell the whole length; the header's own is the least.
            raise TargetError(_cut(name, path.name, size, f"at least {8 + length:,}"))
        try:
            header = json.loads(file.read(length))
            entries = [entry for key, entry in header.items() if key != "__metadata__"]
            found = [_entry(entry["dtype"], *entry["data_offsets"]) for entry in entries]
        except _ODD as error:
            raise TargetError(
                f"{name}: {path.name} is no safetensors file ({one_line(error)}); save or download it again"
            ) from None
    end = max((end for _, _, end in found), default=0)
    if size < 8 + length + end:
        raise TargetError(_cut(name, path.name, size, f"{8 + length + end:,}"))
    return [(dtype, end - start) for dtype, start, end in found]


def _entry(dtype: object, start: object, end: object) -> tuple[str, int, int]:
    return str(dtype), int(str(start)), int(str(end))


def _cut(name: str, file: str, size: int, whole: str) -> str:
    least, number = ("at least ", whole.removeprefix("at least ")) if whole.startswith("at least ") else ("", whole)
    missing = int(number.replace(",", "")) - size
    return (
        f"{name}: {file} is cut short: it has {size:,} of {whole} bytes, {least}{missing:,} are missing; "
        "save or download it again"
    )
