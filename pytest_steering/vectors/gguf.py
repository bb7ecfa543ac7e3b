"""Steering vectors as GGUF control vectors, which llama.cpp adds with ``--control-vector`` and repeng reads and writes.

The numbers mean the same everywhere: ``direction.N`` is what decoder layer N, counted from 0, emits, so nothing is
shifted.

- repeng 0.4 (``repeng/extract.py``, ``ControlVector.export_gguf``) names a tensor after the layer whose output it read,
  ``hidden_states[N + 1]``, and wraps that layer to add it.
- llama.cpp (``common/common.cpp``, ``common_control_vector_load_one``) puts ``direction.N`` at N - 1 in its buffer,
  and ``llama_adapter_cvec::apply`` (``src/llama-adapter.cpp``) fills layer ``il`` from ``il - 1``: the two cancel,
  and ``build_cvec(cur, il)`` adds ``direction.il`` to what layer ``il`` emits ("there's never a tensor for layer 0").
- A file with ``direction.0`` is refused by llama.cpp as a whole ("invalid (zero) direction tensor layer index"), and
  so is any tensor that is not float32 and one-dimensional. So layer 0 cannot be exported. It is read where repeng
  wrote it.
- llama.cpp's graphs of some models add no control vector at all (``src/models/plamo2.cpp`` and ``hy-v4.cpp`` in the
  copy that llama-cpp-python 0.3.36 has, alone among models that generate): there a file is passed over without a word.
- llama.cpp's own cvector-generator reads layer N - 1 for ``direction.N`` (``mean.hpp``, ``il+1``); such a file is
  loaded as llama.cpp applies it, at layer N.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytest_steering.architecture.model import Architecture
from pytest_steering.vectors._common import VectorError, check_fit, needs, whole_file
from pytest_steering.vectors.fingerprint import Fingerprint

ARCHITECTURE = "controlvector"
_READ = (ARCHITECTURE, "steervector")
"""The second is EasySteer's name for the same layout."""
_FINGERPRINT = "pytest_steering.fingerprint"
_MAGIC = b"GGUF"
_TYPES = ("F32", "F16", "F64")
_IGNORED = frozenset({"plamo2", "hy_v4"})
"""The model types whose graph in llama.cpp adds no control vector."""


def is_gguf(path: Path) -> bool:
    """The file starts as GGUF does, or is called so."""
    with path.open("rb") as file:
        return file.read(4) == _MAGIC or path.suffix == ".gguf"


def save_gguf(
    path: str | Path,
    vectors: Mapping[int, Tensor],
    architecture: Architecture,
    *,
    method: str,
    position: str | int = "",
    data_hash: str = "",
    model: str = "",
) -> None:
    """The vectors are written as a control vector for llama.cpp, in float32; whole, or not at all.

    The scale is the same as here: ``--control-vector-scaled FILE:SCALE`` adds SCALE times the vector. The fingerprint
    goes along under a key of its own, which llama.cpp and repeng pass over. Vectors that do not fit, and one of layer
    0, raise ``VectorError``. Where llama.cpp would ignore the file, a ``UserWarning`` says so: repeng reads it.
    """
    gguf = _gguf()
    path = Path(path)
    check_fit(path, vectors, architecture)
    if 0 in vectors:
        raise VectorError(
            f"{path}: llama.cpp has no control vector for layer 0 and refuses a file with one; leave layer 0 out"
        )
    plain = {layer: vectors[layer].detach().cpu().float() for layer in sorted(vectors)}
    check_fit(path, plain, architecture)
    made = {"method": method, "position": str(position), "data_hash": data_hash, "model": model}
    fingerprint = Fingerprint.of(architecture, vectors, **made)
    with whole_file(path) as unfinished:
        writer = gguf.GGUFWriter(unfinished, ARCHITECTURE)
        writer.add_string(f"{ARCHITECTURE}.model_hint", fingerprint.model_type or fingerprint.model)
        writer.add_uint32(f"{ARCHITECTURE}.layer_count", len(plain))
        writer.add_string(_FINGERPRINT, fingerprint.as_json())
        for layer, vector in plain.items():
            writer.add_tensor(f"direction.{layer}", vector.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    if fingerprint.model_type.replace("-", "_") in _IGNORED:
        warnings.warn(
            f"{path} is written, and llama.cpp will ignore it: its graph of a {fingerprint.model_type} adds no control "
            "vector (seen in llama-cpp-python 0.3.36); try there whether a large scale changes anything",
            stacklevel=2,
        )


def load_gguf(path: str | Path, architecture: Architecture, *, same_config: bool = False) -> dict[int, Tensor]:
    """The control vectors in a GGUF file, by decoder layer, float32 on the CPU, checked against this model.

    A file without this suite's fingerprint is checked by width and layers alone: its ``model_hint`` may be
    llama.cpp's name or transformers'. Anything that is no control vector raises ``VectorError`` naming the file and
    the reason.
    """
    path = Path(path)
    fields, tensors = _read(path)
    kind = fields.get("general.architecture", ARCHITECTURE)
    if kind not in _READ:
        raise VectorError(
            f"{path} is a GGUF file of a {kind!r}, not of a control vector; give the control vector's file"
        )
    vectors: dict[int, Tensor] = {}
    for name, numbers in tensors:
        match = re.fullmatch("direction[.]([0-9]{1,9})", name)
        if match is None:
            raise VectorError(f"{path}: the tensor {name!r} is no direction of a layer; write it as direction.N")
        layer = int(match[1])
        if layer in vectors:
            raise VectorError(f"{path} holds two vectors for layer {layer}; keep one")
        vectors[layer] = torch.from_numpy(np.array(numbers, dtype=np.float32))
    if _FINGERPRINT in fields:
        fingerprint = Fingerprint.parsed(path, str(fields[_FINGERPRINT]))
        fingerprint.check(path, architecture, same_config=same_config)
        fingerprint.check_layers(path, vectors)
    check_fit(path, vectors, architecture)
    return vectors


def _read(path: Path) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """The metadata and the named tensors of a GGUF file."""
    reader_class = _gguf().GGUFReader

    class Reader(reader_class):  # type: ignore[misc, valid-type]
        """Slices past the end are an error: the package's own reader takes them for empty, and counts on for ever."""

        def _get(self, offset: int, dtype: Any, count: int = 1, override_order: Any = None) -> Any:
            if int(offset) + np.dtype(dtype).itemsize * int(count) > len(self.data):
                raise ValueError("it is cut short or says that it is longer than it is")
            return super()._get(offset, dtype, count, override_order)

    try:
        reader = Reader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        odd = [tensor for tensor in reader.tensors if tensor.tensor_type.name not in _TYPES]
        if odd:
            raise ValueError(f"{odd[0].name} is of type {odd[0].tensor_type.name}, and llama.cpp takes F32 alone")
        return fields, [(tensor.name, tensor.data) for tensor in reader.tensors]
    except Exception as error:  # in a damaged file the reader meets whatever comes first
        raise VectorError(f"{path} cannot be read as GGUF: {error}; write the control vector again") from None


def _gguf() -> Any:
    try:
        import gguf  # noqa: PLC0415 (an optional package)
    except ImportError:
        raise needs("gguf", "a control vector for llama.cpp") from None
    return gguf
