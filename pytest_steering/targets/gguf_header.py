"""The header of a GGUF file: what the model is and which bytes its weights take, read before any weight is.

Every length that a file states is compared with the bytes that it has: a torn or hostile file ends in one sentence,
and nothing is allocated or walked through on its word alone.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_steering.errors import TargetError, one_line

AGAIN: Final = "save or download it again"

_MAGIC = b"GGUF"
_LFS = b"version "
_VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_DIMENSIONS = 4
"""The most that a tensor of ggml has."""
_NESTED = 4
_ALIGNMENT = 32


class NotGGUF(ValueError):
    """The bytes are no GGUF file that holds a model, and the message says why."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor: its ``elements``, the number of its ggml ``type``, and its ``offset`` behind the header."""

    name: str
    elements: int
    type: int
    offset: int


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of itself; ``fields`` holds its single values, and of its arrays their lengths."""

    fields: dict[str, object]
    tensors: tuple[StoredTensor, ...]
    data_starts: int
    size: int

    @property
    def architecture(self) -> str:
        """The name that llama.cpp has for the type of model."""
        return str(self.fields["general.architecture"])


def header_of(name: str, path: Path) -> Header:
    """The header of the file at ``path``; ``TargetError`` with ``name`` in it says what is wrong with the file."""
    try:
        with path.open("rb") as file:
            first = file.read(len(_LFS))
            if first == _LFS:
                raise TargetError(
                    f"{name}: {path.name} is not the file itself but git-lfs's pointer to it; "
                    "fetch it with git lfs pull"
                )
            if not first:
                raise NotGGUF("it is empty")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return parse_header(data)
    except OSError as error:
        raise TargetError(f"{name}: {path.name} cannot be read: {one_line(error, kind=False)}") from None
    except NotGGUF as error:
        raise TargetError(
            f"{name}: {path.name} is no sound GGUF file: {one_line(error, kind=False)}; {AGAIN}"
        ) from None


def parse_header(data: bytes | mmap.mmap) -> Header:
    """What the bytes of a whole file say; ``NotGGUF`` when they are none, end early, or contradict themselves."""
    cursor = _Cursor(data)
    if bytes(cursor.taken(4)) != _MAGIC:
        raise NotGGUF(f"it does not begin with {_MAGIC.decode()}")
    version, tensor_count, field_count = cursor.unpacked("IQQ")
    if version not in _VERSIONS:
        raise NotGGUF(f"it is of version {version}, and versions 2 and 3 are read, little-endian")
    fields: dict[str, object] = {}
    for _ in range(field_count):
        key = cursor.text()
        fields[key] = cursor.value(*cursor.unpacked("I"))
    tensors = tuple(_tensor(cursor) for _ in range(tensor_count))
    names = {tensor.name for tensor in tensors}
    if len(names) < len(tensors):
        raise NotGGUF("it holds two tensors of one name")
    if not isinstance(fields.get("general.architecture"), str):
        raise NotGGUF("it does not say of which architecture the model is")
    alignment = fields.get("general.alignment", _ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise NotGGUF(f"its alignment is {alignment}, which is no power of two")
    return Header(fields, tensors, -(-cursor.at // alignment) * alignment, len(data))


def _tensor(cursor: _Cursor) -> StoredTensor:
    name = cursor.text()
    (count,) = cursor.unpacked("I")
    if count > _DIMENSIONS:
        raise NotGGUF(f"{name[:40]!r} has {count} dimensions")
    elements = 1
    for size in cursor.unpacked(f"{count}Q"):
        elements *= size
    kind, offset = cursor.unpacked("IQ")
    return StoredTensor(name, elements, kind, offset)


class _Cursor:
    """A place in the bytes; nothing is taken that is not there."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data
        self._size = len(data)
        self.at = 0

    def taken(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        start = self._passed(count)
        return self._data[start : start + count]

    def unpacked(self, form: str) -> tuple[int, ...]:
        """The next values of this form, little-endian."""
        form = f"<{form}"
        return struct.unpack_from(form, self._data, self._passed(struct.calcsize(form)))

    def text(self) -> str:
        """The next string."""
        (length,) = self.unpacked("Q")
        return self.taken(length).decode("utf-8", "backslashreplace")

    def value(self, kind: int, depth: int = 0) -> object:
        """The next value of this kind; of an array its length, and its items are passed over."""
        if kind in _SCALARS:
            return self.unpacked(_SCALARS[kind])[0]
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY or depth > _NESTED:
            raise NotGGUF(f"a value is of kind {kind}" if kind != _ARRAY else "its arrays are nested too deeply")
        item, count = self.unpacked("IQ")
        if item in _SCALARS:
            self._passed(count * struct.calcsize(_SCALARS[item]))
            return count
        for _ in range(count):
            if item == _STRING:
                self._passed(*self.unpacked("Q"))
            else:
                self.value(item, depth + 1)
        return count

    def _passed(self, count: int) -> int:
        start, self.at = self.at, self.at + count
        if self.at > self._size:
            raise NotGGUF(f"it is cut short: it has {self._size:,} bytes and says that it goes on to {self.at:,}")
        return start
