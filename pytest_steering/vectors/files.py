"""Steering vectors as safetensors, with a fingerprint of the model that they fit and of how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pytest_steering.anatomy import Architecture
from pytest_steering.vectors.errors import VectorError
from pytest_steering.vectors.fingerprint import Fingerprint
from pytest_steering.vectors.fitting import check_fit
from pytest_steering.vectors.foreign import by_layer, refuse_unsafe
from pytest_steering.vectors.llama_cpp import is_gguf, load_gguf
from pytest_steering.vectors.writing import whole_file

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
        save_file(tensors, unfinished, metadata={"format": FORMAT, "fingerprint": fingerprint.as_json()})


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
