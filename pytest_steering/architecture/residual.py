"""Read and write the residual stream in whatever a module receives or returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

Path = tuple[int | str, ...]

_DEEPEST = 3


@dataclass(frozen=True)
class Layout:
    """Where the residual stream sits in a value, and what its axes mean.

    ``path`` leads to the tensor: ``()`` when the value is the tensor itself, ``(0,)`` for the first element of a
    tuple, ``("hidden_states",)`` for a mapping. The last axis is always the hidden size.
    """

    path: Path = ()
    batch_axis: int = 0
    sequence_axis: int = 1
    extra: int = 0
    """Positions of the model's own that stand before the tokens in the first pass."""
    repeats: int = 1
    """How many streams of all tokens lie end to end on the sequence axis."""

    def read(self, value: Any) -> Tensor:
        """The residual stream in ``value``; ``LookupError`` when there is none at this place."""
        for step in self.path:
            value = _child(value, step)
        if not isinstance(value, Tensor):
            raise LookupError(f"expected a tensor at {self.path}, found {type(value).__name__}")
        return value

    def write(self, value: Any, tensor: Tensor) -> Any:
        """``value`` with its residual stream replaced: the same type, every other element untouched."""
        return _replaced(value, self.path, tensor)

    def spread(self, mask: Tensor, like: Tensor) -> Tensor:
        """A ``(batch, tokens)`` mask, shaped to broadcast against the residual stream ``like``."""
        mask = fitted(mask, like.shape[self.sequence_axis] // self.repeats).repeat(1, self.repeats)
        if self.batch_axis > self.sequence_axis:
            mask = mask.transpose(0, 1)
        shape = [1] * like.ndim
        shape[self.batch_axis] = like.shape[self.batch_axis]
        shape[self.sequence_axis] = like.shape[self.sequence_axis]
        return mask.reshape(shape)

    def canonical(self, tensor: Tensor) -> Tensor:
        """``tensor`` with its axes ordered ``(batch, sequence, hidden_size)``; streams, if any, before the last."""
        tensor = tensor.movedim((self.batch_axis, self.sequence_axis), (0, 1))
        if self.repeats > 1:
            shape = tensor.shape[0], self.repeats, -1, *tensor.shape[2:]
            tensor = tensor.reshape(shape).transpose(1, 2)
        return tensor

    def native(self, canonical: Tensor) -> Tensor:
        """What :meth:`canonical` made, with its axes as the model has them."""
        if self.repeats > 1:
            canonical = canonical.transpose(1, 2).flatten(1, 2)
        return canonical.movedim((0, 1), (self.batch_axis, self.sequence_axis))


def fitted(mask: Tensor, columns: int) -> Tensor:
    """A ``(batch, tokens)`` mask for a residual stream of that many columns: its end, or false before its begin.

    A pass may be given tokens that it does not compute again, and a model may put positions before the tokens.
    """
    width = mask.shape[1]
    if width > columns:
        return mask[:, width - columns :]
    return torch.nn.functional.pad(mask, (columns - width, 0)) if width < columns else mask


def tensors_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    """Every tensor in nested tuples, lists, mappings and data classes, with the path that leads to it."""
    if isinstance(value, Tensor):
        yield path, value
    elif len(path) < _DEEPEST:
        for step, child in _children(value):
            yield from tensors_in(child, (*path, step))


def logits_of(output: Any) -> Tensor:
    """The logits, of shape ``(batch, sequence, vocabulary)``, in what a language model returned."""
    logits = getattr(output, "logits", None)
    if logits is None and isinstance(output, Mapping):
        logits = output.get("logits")
    if logits is None and isinstance(output, Tensor):
        logits = output
    if logits is None and isinstance(output, tuple | list):
        logits = next((item for item in output if isinstance(item, Tensor) and item.is_floating_point()), None)
    if not isinstance(logits, Tensor):
        raise LookupError(f"found no logits in a {type(output).__name__}")
    return logits


def kind_of(value: Any) -> str:
    """``tensor``, ``tuple``, ``list`` or the type's name."""
    if isinstance(value, Tensor):
        return "tensor"
    if isinstance(value, tuple):
        return "tuple"
    return type(value).__name__


def same_bits(left: Tensor, right: Tensor) -> bool:
    """Two tensors agree in shape, dtype and every value (NaN equals NaN)."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return torch.equal(left, right) or bool(((left == right) | (left.isnan() & right.isnan())).all())


def _children(value: Any) -> Iterator[tuple[int | str, Any]]:
    if isinstance(value, Mapping):
        yield from ((key, child) for key, child in value.items() if isinstance(key, str))
    elif isinstance(value, tuple | list):
        yield from enumerate(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((field.name, getattr(value, field.name, None)) for field in fields(value))


def _child(value: Any, step: int | str) -> Any:
    try:
        if isinstance(step, str) and not isinstance(value, Mapping):
            return getattr(value, step)
        return value[step]
    except (AttributeError, IndexError, KeyError, TypeError):
        raise LookupError(f"a {type(value).__name__} has nothing at {step!r}") from None


def _replaced(value: Any, path: Path, tensor: Tensor) -> Any:
    if not path:
        return tensor
    step, rest = path[0], path[1:]
    child = _replaced(_child(value, step), rest, tensor)
    if isinstance(value, tuple):
        items = [child if index == step else item for index, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, list):
        return type(value)(child if index == step else item for index, item in enumerate(value))
    if isinstance(value, Mapping):
        # A ModelOutput is a mapping with attributes: its own constructor keeps both in step.
        return type(value)(**{key: child if key == step else item for key, item in value.items()})
    raise LookupError(f"cannot rebuild a {type(value).__name__}")
