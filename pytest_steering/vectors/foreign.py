"""Files that others wrote: what is safe to read is read, and what is not is refused unread.

The steering-vectors library has no format of its own: its vectors are a mapping from layer index to tensor, which
people save as safetensors under the index or as a pickle. repeng writes control vectors in GGUF, which
:mod:`pytest_steering.vectors.llama_cpp` reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from pytest_steering.anatomy import Architecture
from pytest_steering.vectors.errors import VectorError

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
