"""How many prompts run at once: measured on the longest of them, not guessed from the model's name."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pytest_steering.errors import TargetError
from pytest_steering.suite.encoding import prompt_ids
from pytest_steering.targets.memory import available_bytes, gigabytes

_SIZES = (8, 4, 2)
_SHARE = 2
"""The part of the free memory that is left alone: one half."""


def batch_size(
    call: Callable[..., Any],
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    device: torch.device,
    new_tokens: int = 0,
    memory_optimized: bool | None = None,
    available: int | None = None,
) -> int:
    """The largest batch of the longest prompt, of 8, 4, 2 or 1, that fits into half of the free memory.

    Powers of two, so that two runs on one machine choose the same although the free memory is never the same twice.
    ``memory_optimized`` asks for one prompt at a time, or forbids it; ``None`` leaves it to what fits. ``TargetError``
    when not even one prompt fits. ``available`` is in bytes, and measured when not given.
    """
    longest = max((prompt_ids(tokenizer, prompt) for prompt in prompts), key=len)
    row = torch.tensor([[*longest, *longest[-1:] * new_tokens]], device=device)
    needed = peak_of(lambda: call(input_ids=row))
    free = available_bytes(device) if available is None else available
    if needed > free:
        raise TargetError(
            f"a prompt of {row.shape[1]} tokens needs {gigabytes(needed)} beside the weights, {gigabytes(free)} "
            f"are free on {device}; leave out the longest files or choose another --device"
        )
    size = 1 if memory_optimized else next((size for size in _SIZES if size * needed <= free // _SHARE), 1)
    if size == 1 and memory_optimized is False:
        raise TargetError(
            f"two prompts of {row.shape[1]} tokens need {gigabytes(2 * needed)}, more than half of the "
            f"{gigabytes(free)} free on {device}; allow memory_optimized, which runs one at a time"
        )
    return size


def peak_of(run: Callable[[], Any]) -> int:
    """The most bytes that ``run`` holds at once, on any device, in tensors that it makes."""
    with torch.no_grad(), _Made() as made:
        run()
    return int(made.peak)


class _Made(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations make, for as long as each lives."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._holders: Counter[int] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_place(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and (place := _place(leaf)) and (place in self._holders or place not in given):
                self._hold(leaf, place)
        return result

    def _hold(self, tensor: Tensor, place: int) -> None:
        size = tensor.untyped_storage().nbytes()
        if not self._holders[place]:
            self.live += size
            self.peak = max(self.peak, self.live)
        self._holders[place] += 1
        weakref.finalize(tensor, self._release, place, size)

    def _release(self, place: int, size: int) -> None:
        self._holders[place] -= 1
        if not self._holders[place]:
            del self._holders[place]
            self.live -= size


def _place(tensor: Tensor) -> int:
    """Where the storage begins: what a tensor and its views share."""
    return int(tensor.untyped_storage().data_ptr())
