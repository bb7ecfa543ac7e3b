"""What one run costs, counted and not timed: the same on a busy machine as on an idle one.

A run is counted twice: once under a mode of torch that sees every operation, and once under the interpreter's
profiling events, which see every Python call.
"""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import FrameType
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_READ: Final = frozenset(
    {
        "aten::_local_scalar_dense",
        "aten::_unique2",
        "aten::equal",
        "aten::is_nonzero",
        "aten::item",
        "aten::masked_select",
        "aten::nonzero",
        "aten::unique_consecutive",
        "aten::unique_dim",
    }
)
"""Operations whose result, or its shape, the host has to wait for."""
_READ_ON_CPU: Final = frozenset({"tolist", "numpy", "cpu"})
"""Methods that read a tensor of the CPU without any operation, and would wait for one of a GPU."""
_COPY: Final = frozenset({"aten::_to_copy", "aten::copy_"})
_INDEX: Final = frozenset({"aten::index", "aten::index_put", "aten::index_put_"})


@dataclass(frozen=True, eq=False)
class Recipe:
    """How something is made that is known before the run; the same object each time that it is made so."""

    name: str
    """The operation's."""


@dataclass
class Counts:
    """What was counted between two marks."""

    operations: int = 0
    """Torch operations dispatched, views among them."""
    synchronisations: int = 0
    """Readings of a tensor by the host, for which a GPU would have to finish first."""
    bytes: int = 0
    """Bytes of memory that operations allocated for what they return."""
    calls: int = 0
    """Python functions that were called."""
    constant: Counter[Recipe] = field(default_factory=Counter)
    """Operations that took nothing of the run's inputs: what they return is known beforehand."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.operations + other.operations,
            self.synchronisations + other.synchronisations,
            self.bytes + other.bytes,
            self.calls + other.calls,
            self.constant + other.constant,
        )

    def beyond(self, other: Counts) -> Counts:
        """How much more this is than ``other``; a figure may be negative."""
        return Counts(
            self.operations - other.operations,
            self.synchronisations - other.synchronisations,
            self.bytes - other.bytes,
            self.calls - other.calls,
        )

    def figures(self) -> dict[str, int]:
        """The numbers, by name."""
        return {
            "operations": self.operations,
            "synchronisations": self.synchronisations,
            "bytes": self.bytes,
            "calls": self.calls,
        }


@dataclass
class Counted:
    """A run by its spans, one from each mark to the next, and the most memory that its operations held at once."""

    spans: list[tuple[Any, Counts]]
    peak: int = 0

    @property
    def total(self) -> Counts:
        """All spans together."""
        return sum((counts for _, counts in self.spans), Counts())


Mark = Callable[[Any], None]


def count(run: Callable[[Mark], Any], given: Iterable[Tensor] = ()) -> Counted:
    """What ``run`` costs; it calls the function that it is given with a label to begin a new span.

    ``given`` are the run's inputs. It is run twice, and must do the same both times: run it before, where its first
    time prepares something.
    """
    operations, calls = _Operations(given), _Calls()
    with operations:
        run(operations.mark)
    with calls.counting():
        run(calls.mark)
    if [label for label, _ in operations.spans] != [label for label, _ in calls.spans]:
        raise RuntimeError("a run that is counted did not do the same twice")
    for (_, counts), (_, other) in zip(operations.spans, calls.spans, strict=True):
        counts.calls = other.calls
        counts.synchronisations += other.synchronisations
    return Counted(operations.spans, operations.peak)


class _Spans:
    def __init__(self) -> None:
        self.now = Counts()
        self.spans: list[tuple[Any, Counts]] = [("", self.now)]

    def mark(self, label: Any) -> None:
        """A new span begins."""
        self.now = Counts()
        self.spans.append((label, self.now))


class _Operations(_Spans, TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations, what they allocate, and which of them took nothing of the inputs."""

    supports_higher_order_operators = True
    """One that is made of others, as ``flex_attention`` is, is counted as one."""

    def __init__(self, given: Iterable[Tensor]) -> None:
        _Spans.__init__(self)
        TorchDispatchMode.__init__(self)  # type: ignore[no-untyped-call]
        self.held = self.peak = 0
        self._of_inputs = {_place(tensor) for tensor in given}
        """Memory that holds something of the inputs."""
        self._made: dict[int, Recipe | int] = {}
        """How memory was made that holds nothing of them."""
        self._recipes: dict[tuple[Any, ...], Recipe] = {}
        self._sizes: dict[Any, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """One operation."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name, now = _name(func), self.now
        given = list(_leaves((*args, *kwargs.values())))
        tensors = [leaf for leaf in given if isinstance(leaf, Tensor)]
        before = set(map(_place, tensors))
        now.operations += 1
        now.synchronisations += _reads(name, tensors, result)
        takes = not before.isdisjoint(self._of_inputs) and name != "aten::lift_fresh"
        if not takes:
            made = (name,) if name == "aten::lift_fresh" else (name, *(self._source(leaf) for leaf in given))
            recipe = self._recipes.setdefault(made, Recipe(name))
            now.constant[recipe] += 1
        for returned in _leaves((result,)):
            if not isinstance(returned, Tensor):
                continue
            place = _place(returned)
            if place not in before:
                self._allocated(returned.untyped_storage())
                self._of_inputs.discard(place)
                self._made[place] = place if takes else recipe
            if takes:
                self._of_inputs.add(place)
        return result

    def _source(self, leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            place = _place(leaf)
            return self._made.get(place, place)
        return leaf if isinstance(leaf, int | float | str | None) else str(leaf)

    def _allocated(self, storage: Any) -> None:
        size = storage.nbytes()
        self.now.bytes += size
        self.held += size
        self.peak = max(self.peak, self.held)
        gone = weakref.ref(storage, self._freed)
        self._sizes[gone] = size

    def _freed(self, gone: Any) -> None:
        self.held -= self._sizes.pop(gone)


class _Calls(_Spans):
    """Counts calls of Python functions, and of methods by which the host reads a tensor without any operation."""

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Calls inside are counted, in threads that begin there too.

        No garbage is collected meanwhile, whose finalizers would count.
        """
        collecting, before, of_threads = gc.isenabled(), sys.getprofile(), threading.getprofile()
        gc.collect(0)
        gc.disable()
        threading.setprofile(self._event)
        sys.setprofile(self._event)
        try:
            yield
        finally:
            sys.setprofile(before)
            threading.setprofile(of_threads)
            if collecting:
                gc.enable()

    def _event(self, frame: FrameType, kind: str, called: Any) -> None:
        if kind == "call":
            if frame.f_code.co_filename != __file__:
                self.now.calls += 1
        elif kind == "c_call" and called.__name__ in _READ_ON_CPU:
            tensor = getattr(called, "__self__", None)
            if isinstance(tensor, Tensor) and tensor.device.type == "cpu":
                self.now.synchronisations += 1


@cache
def _name(func: Any) -> str:
    return str(func.name()).partition(".")[0]


def _leaves(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value


def _place(tensor: Tensor) -> int:
    """The memory of a tensor."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):  # a tensor without memory of its own
        return id(tensor)


def _reads(name: str, tensors: list[Tensor], result: Any) -> bool:
    if name in _READ:
        return True
    if name in _INDEX:
        return any(tensor.dtype in (torch.bool, torch.uint8) for tensor in tensors[1:])
    if name not in _COPY or not isinstance(result, Tensor) or result.device.type != "cpu":
        return False
    return tensors[-1].device.type not in ("cpu", "meta")
