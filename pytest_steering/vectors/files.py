"""Steering vectors as safetensors, with a fingerprint of the model that they fit and of how they were made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pytest_steering.architecture.model import Architecture
from pytest_steering.vectors._common import VectorError, check_fit, whole_file
from pytest_steering.vectors.fingerprint import Fingerprint
from pytest_steering.vectors.gguf import is_gguf, load_gguf

FORMAT = "pytest-steering vectors 2"
_OLD_FORMAT = "pytest-steering vectors 1"


def save_vectors(
    path: str | Path,
    vectors: Mapping[int, Tensor],
    architecture: Architecture,
    *,
    method: str,
    position: str | int = "",
    data_hash: str = "",
    model: str = "",
) -> None:
    """The vectors are written as safetensors, bit for bit, with a fingerprint; whole, or not at all.

    ``method``, ``position``, ``data_hash`` (:func:`hash_pairs`) and ``model``, the name of the weights, are for whoever
    reads the fingerprint. Vectors that do not fit the model raise ``VectorError``.
    """
    path = Path(path)
    check_fit(path, vectors, architecture)
    made = {"method": method, "position": str(position), "data_hash": data_hash, "model": model}
    fingerprint = Fingerprint.of(architecture, vectors, **made)
    tensors = {f"layer.{layer}": vector.detach().cpu().clone().contiguous() for layer, vector in vectors.items()}
    with whole_file(path) as unfinished:
        unfinished.write_bytes(save(tensors, metadata={"format": FORMAT, "fingerprint": fingerprint.as_json()}))


def load_vectors(path: str | Path, architecture: Architecture, *, same_config: bool = False) -> dict[int, Tensor]:
    """The vectors in a file, by decoder layer, on the CPU, checked against this model.

    Reads what :func:`save_vectors` wrote, in this version and the first, control vectors of llama.cpp and repeng
    (``.gguf``) and safetensors of others whose tensors are named after layers. Raises ``VectorError`` naming the
    file, what does not fit and what to do: another hidden size, number of layers, layers path or model type, a layer
    that is not there or is missing, a vector of another rank, a NaN, a file cut short, a pickle. ``same_config`` asks
    for the very same config, too.
    """
    path = Path(path)
    refuse_unsafe(path)
    if is_gguf(path):
        return load_gguf(path, architecture, same_config=same_config)
    metadata, tensors = _read(path)
    if metadata.get("format") not in (FORMAT, _OLD_FORMAT):
        vectors = by_layer(path, tensors, architecture)
    else:
        fingerprint = _fingerprint(path, metadata)
        fingerprint.check(path, architecture, same_config=same_config)
        vectors = by_layer(path, tensors, architecture)
        fingerprint.check_layers(path, vectors)
    check_fit(path, vectors, architecture)
    return vectors


def read_fingerprint(path: str | Path) -> Fingerprint:
    """What a file that :func:`save_vectors` wrote says of its vectors; ``VectorError`` for any other file."""
    path = Path(path)
    refuse_unsafe(path)
    return _fingerprint(path, _read(path)[0])


def stack(vectors: Mapping[int, Tensor]) -> Tensor:
    """The vectors in layer order as one tensor of shape ``(layers, hidden_size)``."""
    return torch.stack([vectors[layer] for layer in sorted(vectors)])


def _fingerprint(path: Path, metadata: Mapping[str, str]) -> Fingerprint:
    if metadata.get("format") not in (FORMAT, _OLD_FORMAT) or "fingerprint" not in metadata:
        raise VectorError(f"{path} has no fingerprint of this format ({FORMAT}); save the vectors with save_vectors")
    return Fingerprint.parsed(path, metadata["fingerprint"])


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (OSError, SafetensorError) as error:
        raise VectorError(
            f"{path} cannot be read as safetensors: {error}; save the vectors again, or give another file"
        ) from None


_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib")
_ARRAYS = (".npy", ".npz")
_ZIP, _PICKLED = b"PK\x03\x04", re.compile(rb"\x80[\x02-\x05]")
_NAMES = ("N", "layer.N", "layers.N", "layer_N", "direction.N", "vector.N", "steering_vector.N")


def refuse_unsafe(path: Path) -> None:
    """The file is there and is no pickle, judged by its name and its first bytes, or ``VectorError``."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise VectorError(f"{path} cannot be read: {error.strerror}; give a .safetensors or .gguf file") from None
    if path.suffix in _ARRAYS:
        raise VectorError(f"{path} is a NumPy array, which names no layers; save it as safetensors under layer.N")
    if path.suffix in _PICKLES or start == _ZIP or _PICKLED.match(start):
        raise VectorError(
            f"{path} is a pickle, and reading a pickle can run code; whoever made it can save it with "
            "safetensors.torch.save_file({'layer.N': vector, ...}, 'vectors.safetensors')"
        )


def by_layer(path: Path, tensors: Mapping[str, Tensor], architecture: Architecture) -> dict[int, Tensor]:
    """The tensors by the decoder layer that their names give; a leading axis of one element is taken off.

    The names that are understood mean what a layer emits into the residual stream; a name that says less, or that
    names a part of a layer, raises ``VectorError``, and so do two names for one layer.
    """
    paths = [name.removesuffix("N") for name in _NAMES]
    pattern = re.compile(f"(?:{'|'.join(map(re.escape, [*paths, f'{architecture.layers_path}.']))})([0-9]{{1,9}})")
    vectors: dict[int, Tensor] = {}
    for name, tensor in tensors.items():
        match = pattern.fullmatch(name)
        if match is None:
            raise VectorError(
                f"{path}: the tensor {name!r} names no decoder layer; rename it to one of {', '.join(_NAMES)} "
                f"or {architecture.layers_path}.N"
            )
        layer = int(match[1])
        if layer in vectors:
            raise VectorError(f"{path} holds two vectors for layer {layer}; keep one")
        vectors[layer] = tensor[0] if tensor.ndim == 2 and len(tensor) == 1 else tensor
    return vectors
