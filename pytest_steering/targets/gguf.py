"""Models in GGUF files, as llama.cpp has them: checked, dequantised by transformers, with the tokenizer inside."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from pytest_steering.errors import TargetError, one_line
from pytest_steering.targets.checkpoint import Weights
from pytest_steering.targets.gguf_header import AGAIN, Header, header_of
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.weightless import auto_class

_NEEDED = ("gguf", "accelerate")
_CONTROL_VECTORS = ("controlvector", "steervector")


def check_gguf(name: str, path: Path) -> Weights:
    """The weights that the file at ``path`` holds in full, counted as singles.

    ``TargetError`` says what is missing or wrong: a package, bytes, an architecture that transformers does not read.
    """
    for package in _NEEDED:
        try:
            importlib.import_module(package)
        except ImportError:
            raise TargetError(
                f"{name}: a GGUF file is read with the package {package}, which is not installed; "
                'install "pytest-steering[gguf]"'
            ) from None
    header = header_of(name, path)
    _check_kind(name, path, header)
    _check_whole(name, path, header)
    elements = sum(tensor.elements for tensor in header.tensors)
    return Weights((path.name,), floats=elements, float_bytes=elements * torch.float32.itemsize)


def read_gguf(
    path: Path, *, device: torch.device, dtype: torch.dtype | None
) -> tuple[nn.Module, dict[str, Any], Any, list[str]]:
    """The model in float32 or ``dtype``, what transformers says of its loading, the tokenizer or None, and notes.

    Nothing else that lies beside the file is looked at. Whatever transformers raises comes through.
    """
    with tempfile.TemporaryDirectory() as alone, quiet_transformers(), _read_once():
        (Path(alone) / path.name).symlink_to(path.resolve())
        config = transformers.AutoConfig.from_pretrained(alone, gguf_file=path.name)
        dequantised = getattr(transformers, "GgufConfig", None)
        model, info = auto_class(config).from_pretrained(
            alone,
            gguf_file=path.name,
            dtype=dtype or torch.float32,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **({} if dequantised is None else {"quantization_config": dequantised(dequantize=True)}),
        )
        tokenizer, notes = _tokenizer(alone, path.name)
    return model.to(device).eval(), info, tokenizer, [_stored(path), *notes]


def _tokenizer(directory: str, file: str) -> tuple[Any, list[str]]:
    try:
        return transformers.AutoTokenizer.from_pretrained(directory, gguf_file=file), []
    except Exception as error:  # whatever a vocabulary of another form raises
        return None, [f"its tokenizer cannot be read, so token ids are drawn at random: {one_line(error)}"]


def _stored(path: Path) -> str:
    """A sentence about how the weights were stored."""
    names = {tensor.name for tensor in _types(header_of(path.name, path)) if tensor is not None}
    return f"dequantised by transformers from {', '.join(sorted(names))}"


def _types(header: Header) -> list[Any]:
    """The type of each tensor as ``gguf`` knows it; ``None`` where it does not."""
    from gguf import GGMLQuantizationType  # noqa: PLC0415 (an optional package)

    known = {int(member): member for member in GGMLQuantizationType}
    return [known.get(tensor.type) for tensor in header.tensors]


def _check_kind(name: str, path: Path, header: Header) -> None:
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES  # noqa: PLC0415 (seldom needed)

    kind = header.architecture
    if kind in _CONTROL_VECTORS:
        raise TargetError(f"{name}: {path.name} holds a control vector and no model; give the model's file")
    parts = header.fields.get("split.count", 0)
    if isinstance(parts, int) and parts > 1:
        raise TargetError(
            f"{name}: {path.name} is one of {parts} parts, and transformers reads no parts; "
            "put them together with llama-gguf-split --merge"
        )
    known = {*GGUF_SUPPORTED_ARCHITECTURES, *_newer_architectures()} - {"general", "tokenizer"}
    if kind.replace("-", "_") not in known and kind not in {other.replace("_", "") for other in known} | known:
        shown = kind if kind.isprintable() and len(kind) < 40 else ascii(kind)[:40]
        raise TargetError(
            f"{name}: transformers {transformers.__version__} reads no GGUF file of a {shown!r}; "
            f"it reads {', '.join(sorted(known))}"
        )


def _newer_architectures() -> tuple[str, ...]:
    """Those that transformers reads in a second way since 5.20."""
    try:
        from transformers.integrations.gguf import GGUF_CONFIG_ARCHS  # noqa: PLC0415 (not in every release)
    except ImportError:
        return ()
    return tuple(GGUF_CONFIG_ARCHS)


def _check_whole(name: str, path: Path, header: Header) -> None:
    """Every tensor's bytes are in the file."""
    from gguf import GGML_QUANT_SIZES  # noqa: PLC0415 (an optional package)

    end = 0
    for tensor, kind in zip(header.tensors, _types(header), strict=True):
        if kind is None:
            raise TargetError(
                f"{name}: {tensor.name[:60]!r} is of ggml type {tensor.type}, which the installed gguf does not know; "
                f"install a newer one, or {AGAIN}"
            )
        block, size = GGML_QUANT_SIZES[kind]
        end = max(end, header.data_starts + tensor.offset + tensor.elements // block * size)
    if end > header.size:
        raise TargetError(
            f"{name}: {path.name} is cut short: it has {header.size:,} of {end:,} bytes, {end - header.size:,} are "
            f"missing; {AGAIN}"
        )


@contextmanager
def _read_once() -> Iterator[None]:
    """transformers parses a GGUF file once and not four times over, asks for its names once and not for every module,
    and shows no progress: for 49 thousand tokens, 6 seconds in place of 30."""
    import gguf  # noqa: PLC0415 (an optional package)
    from transformers import modeling_gguf_pytorch_utils as reading  # noqa: PLC0415 (seldom needed)

    own_reader, own_names, own_progress = gguf.GGUFReader, gguf.get_tensor_name_map, reading.tqdm

    class Reader(own_reader):  # type: ignore[misc, valid-type]
        """The package's own slices a memory map for every string of the vocabulary; this one a plain array."""

        def _get(self, offset: int, dtype: Any, count: int = 1, override_order: Any = None) -> Any:
            plain = self.__dict__.setdefault("_plain", self.data.view(np.ndarray))
            form = np.dtype(dtype)
            found = plain[int(offset) : int(offset) + form.itemsize * int(count)].view(form)
            return found.view(found.dtype.newbyteorder(override_order or self.byte_order))

    gguf.GGUFReader, gguf.get_tensor_name_map = cache(Reader), cache(own_names)
    reading.tqdm = lambda items, **_: items
    try:
        yield
    finally:
        gguf.GGUFReader, gguf.get_tensor_name_map, reading.tqdm = own_reader, own_names, own_progress
