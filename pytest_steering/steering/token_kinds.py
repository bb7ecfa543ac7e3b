"""What kind of token stands at each place of a pass, told by tensors alone, as a compiled graph needs it.

What changes from call to call lies in buffers that keep their shape and place, so that no graph is made for a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

from pytest_steering.architecture.inputs import input_mask, input_tokens, remembered, room_of
from pytest_steering.steering.plan import Positions
from pytest_steering.steering.token_positions import Prompt

ROWS, COLUMNS = 64, 4096
"""The prompts that there is room for at first; a larger one makes room, and the graphs anew."""


class TokenKind(IntEnum):
    """What one token of a pass is."""

    PADDING = 0
    PROMPT = 1
    PROMPT_END = 2
    """The final real token of a prompt."""
    GENERATED = 3


_STEERED = {
    Positions.ALL: (TokenKind.PROMPT, TokenKind.PROMPT_END, TokenKind.GENERATED),
    Positions.LAST: (TokenKind.PROMPT_END, TokenKind.GENERATED),
    Positions.PROMPT: (TokenKind.PROMPT, TokenKind.PROMPT_END),
    Positions.GENERATED: (TokenKind.GENERATED,),
}


def steered_kinds(positions: Positions) -> tuple[TokenKind, ...]:
    """The kinds of token that these positions mean."""
    return _STEERED[positions]


def lasting(tensor: Tensor) -> Tensor:
    """The tensor, marked as one that stays where it is: a CUDA graph reads it there, and sees what is written later."""
    torch._dynamo.mark_static_address(tensor, guard=False)
    return tensor


class TokenKinds:
    """The kind of every token of a pass, inside a generation and outside."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._prompt: Prompt | None = None
        self._columns = self._new(torch.zeros((), dtype=torch.int64))
        """How many columns the prompt has that is generated from; 0 outside of a generation."""
        self._rows = self._new(torch.ones((), dtype=torch.int64))
        self._masked = self._new(torch.zeros((), dtype=torch.bool))
        """The prompt came with a mask."""
        self._real = self._new(torch.ones(ROWS, COLUMNS, dtype=torch.bool))
        self._last = self._new(torch.zeros(ROWS, dtype=torch.int64))
        """The column of each prompt's final real token."""
        self.groups = 1
        """How many groups of rows there is room for, each of which is steered alike."""
        self._group = self._new(torch.zeros(ROWS + 1, dtype=torch.int64))
        """The group of each row; the last is that of all rows that no plan names."""

    def group(self, rows: Mapping[int, int], groups: int) -> None:
        """Each of these rows is of another group than 0 from now on; more room makes the graphs anew."""
        if groups > self.groups:
            self.groups = max(8, 1 << (groups - 1).bit_length())
        most = max(rows, default=0)
        if most >= len(self._group) - 1:
            self._group = self._new(torch.zeros(2 * most + 1, dtype=torch.int64))
        found = torch.zeros_like(self._group, device="cpu")
        for row, number in rows.items():
            found[row] = number
        self._group.copy_(found)

    def _new(self, tensor: Tensor) -> Tensor:
        with torch.inference_mode(False):
            return lasting(tensor.to(self._device, copy=True))

    @contextmanager
    def following(self, prompt: Prompt | None) -> Iterator[None]:
        """Passes inside belong to the generation from ``prompt``, or to none."""
        before, self._prompt = self._prompt, prompt
        if prompt is not before:
            self._write(prompt)
        try:
            yield
        finally:
            self._prompt = before
            if prompt is not before:
                self._write(before)

    @torch.no_grad()
    def _write(self, prompt: Prompt | None) -> None:
        if prompt is None or prompt.columns == 0:
            self._columns.zero_()
            return
        rows, columns, mask = prompt.rows, prompt.columns, prompt.attention_mask
        if rows > self._real.shape[0] or columns > self._real.shape[1]:
            height, width = max(rows, self._real.shape[0]), max(2 * columns, self._real.shape[1])
            self._real = self._new(torch.ones(height, width, dtype=torch.bool))
            self._last = self._new(torch.zeros(height, dtype=torch.int64))
        self._columns.fill_(columns)
        self._rows.fill_(rows)
        self._masked.fill_(mask is not None and mask.ndim == 2)
        self._real.fill_(True)
        if mask is not None and mask.ndim == 2:
            real = mask.to(self._device, torch.bool)
            self._real[:rows, :columns] = real
            self._last[:rows] = (torch.arange(columns, device=self._device) * real).amax(dim=1)

    def of_pass(self, kwargs: Mapping[str, Any]) -> Tensor | None:
        """The kinds ``(rows, columns)`` of the pass that is called so, those of each group of rows after those of the
        one before; ``None`` where its arguments do not tell where it begins."""
        tokens, mask = input_tokens(kwargs), input_mask(kwargs)
        rows, columns = tokens.shape[0], tokens.shape[1]
        begin = _begin(kwargs, columns, mask)
        if begin is None:
            return None
        device = self._device
        generating = self._columns > 0
        absolute = begin + torch.arange(columns, device=device)
        each = torch.arange(rows, device=device)
        prompt = each * self._rows // rows
        row = torch.where(generating, prompt, 0)
        known = (generating & self._masked).expand(rows, 1)
        room = self._real.shape[1]
        prompts = self._real[row][:, absolute.clamp(max=room - 1)] | (absolute >= self._columns)
        if mask is None:
            real = prompts
            last = torch.where(generating, self._columns, begin + columns).expand(rows, 1) - 1
        else:
            mask = mask.to(device, torch.bool)
            width = mask.shape[1]
            real = mask[:, absolute.clamp(max=width - 1)] | (absolute >= width)
            end = torch.where(generating, self._columns, begin + columns)
            column = torch.arange(width, device=device)
            last = (column * (mask & (column < end))).amax(dim=1, keepdim=True)
            last = torch.where(end > width, end - 1, last)
        last = torch.where(known, self._last[row].unsqueeze(1), last)
        kinds = torch.where(absolute == last, TokenKind.PROMPT_END, TokenKind.PROMPT)
        generated = generating & (absolute >= self._columns)
        kinds = torch.where(generated, TokenKind.GENERATED, torch.where(real, kinds, TokenKind.PADDING))
        if self.groups == 1:
            return kinds
        group = self._group[torch.where(generating, prompt, each).clamp(max=len(self._group) - 1)]
        return kinds + group.unsqueeze(1) * len(TokenKind)


def _begin(kwargs: Mapping[str, Any], columns: int, mask: Tensor | None) -> int | Tensor | None:
    """The column at which a pass begins: as :func:`~.inputs.begins_at` has it, and a static cache's as a tensor."""
    cache = None
    for value in kwargs.values():
        if hasattr(value, "get_seq_length"):
            cache = value
    if mask is not None and (cache is None or mask.shape[1] != room_of(cache)):
        return max(0, mask.shape[1] - columns)
    memory = remembered(kwargs)
    if memory is not None:
        return memory
    if cache is None:
        # A state of another kind does not tell how many tokens it has seen.
        return None if any(isinstance(value, list | tuple) for value in kwargs.values()) else 0
    try:
        begin: int | Tensor = cache.get_seq_length()
    except (TypeError, ValueError, NotImplementedError):
        return None
    return begin
