"""What fits: bytes that are free, bytes that a model needs, and the workload that the rest allows."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from pytest_steering.errors import TargetError

SMALL = 30_000_000
"""Parameters of a model that is asked everything: a pass costs about as many multiplications for each token."""

_CGROUP = Path("/sys/fs/cgroup")
_FLOAT32 = 4
_COPIES = 4
"""Held at once in a comparison: without steering, with it, as expected, and their difference."""


@dataclass(frozen=True)
class Workload:
    """The batch that requirements run: ``rows`` prompts of up to ``tokens``, continued by ``new_tokens``.

    ``note`` says why it is smaller than usual, or is empty.
    """

    rows: int = 3
    tokens: int = 10
    new_tokens: int = 6
    note: str = ""


_NORMAL = Workload()
_OF_A_LARGE_MODEL = Workload(tokens=6, new_tokens=4)
_LEAST = Workload(rows=2, tokens=4, new_tokens=2)


def size(model: nn.Module) -> int:
    """How many parameters the model has."""
    return sum(parameter.numel() for parameter in model.parameters())


def small(model: nn.Module) -> bool:
    """The model is asked everything: each of its passes is cheap."""
    return size(model) <= SMALL


def give_back() -> None:
    """What is free goes back to the system, which the C library may otherwise keep for later."""
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def available_bytes(device: torch.device) -> int:
    """The bytes that can be allocated on ``device`` now; for the CPU within this control group's limit."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    return min(free, *_group_room(_CGROUP), free)


def parameter_bytes(model: nn.Module) -> int:
    """The bytes of all parameters and buffers, those that are shared counted once."""
    return sum(item.numel() * item.element_size() for item in (*model.parameters(), *model.buffers()))


def check_fits(name: str, needed: int, device: torch.device, remedy: str) -> None:
    """``needed`` bytes are free on ``device``; otherwise ``TargetError`` says both numbers and ``remedy``."""
    free = available_bytes(device)
    if needed > free:
        raise TargetError(
            f"{name}: the weights need {gigabytes(needed)}, {gigabytes(free)} are free on {device}; {remedy}"
        )


def plan_workload(
    model: nn.Module,
    *,
    hidden_size: int,
    num_layers: int,
    vocab_size: int,
    device: torch.device,
    available: int | None = None,
) -> Workload:
    """The largest workload that fits into half of the free memory: up to 3 rows of 10 tokens and 6 new ones, of a large
    model 6 and 4.

    Tokens shrink before rows. ``available`` is in bytes and measured when not given; a model without weights
    needs no memory. ``TargetError`` when not even 2 rows of 4 tokens fit.
    """
    if isinstance(next(model.parameters(), None), FakeTensor):
        return _NORMAL
    free = available_bytes(device) if available is None else available
    widest = max((size for p in model.parameters() for size in p.shape if size != vocab_size), default=hidden_size)
    per_token = _bytes_per_token(hidden_size, num_layers, vocab_size, widest)
    for work in _smaller():
        if work.rows * (work.tokens + work.new_tokens) * per_token <= free // 2:
            if work == _NORMAL:
                return work if small(model) else _OF_A_LARGE_MODEL
            note = f"workload shrunk to {work.rows} rows × {work.tokens} tokens: {gigabytes(free)} free"
            return Workload(work.rows, work.tokens, work.new_tokens, note)
    least = 2 * _LEAST.rows * (_LEAST.tokens + _LEAST.new_tokens) * per_token
    raise TargetError(
        f"{_LEAST.rows} rows × {_LEAST.tokens} tokens need {gigabytes(least)} beside the weights, "
        f"{gigabytes(free)} are free on {device}; free some memory or choose another --steering-device"
    )


def gigabytes(count: int) -> str:
    """A number of bytes in decimal units, such as ``31.4 GB`` or ``12.0 MB``."""
    return f"{count / 1e9:.1f} GB" if count >= 5e7 else f"{count / 1e6:.1f} MB"


def _smaller() -> Iterator[Workload]:
    for rows in range(_NORMAL.rows, _LEAST.rows - 1, -1):
        longest = _NORMAL.tokens if rows == _NORMAL.rows else _LEAST.tokens
        for tokens in range(longest, _LEAST.tokens - 1, -1):
            new_tokens = max(_LEAST.new_tokens, _NORMAL.new_tokens * tokens // _NORMAL.tokens)
            yield Workload(rows, tokens, new_tokens)


def _bytes_per_token(hidden_size: int, num_layers: int, vocab_size: int, widest: int) -> int:
    """What one token of one row takes at the peak, all of it in float32."""
    logits = vocab_size * _COPIES
    residuals = hidden_size * (num_layers + 1) * _COPIES
    cache = 2 * hidden_size * num_layers * 2
    inside_a_layer = 2 * widest
    return _FLOAT32 * (logits + residuals + cache + inside_a_layer)


def _group_room(root: Path) -> Iterator[int]:
    """The room below each memory limit of this control group (versions 2 and 1), page cache not counted."""
    for limit, used, cache in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        try:
            maximum = int((root / limit).read_text())
            current = int((root / used).read_text())
            statistics = dict(line.split() for line in (root / cache).read_text().splitlines())
        except (OSError, ValueError):  # no such group, or "max"
            continue
        reclaimable = int(statistics.get("inactive_file", 0)) + int(statistics.get("active_file", 0))
        yield max(0, maximum - current + reclaimable)
