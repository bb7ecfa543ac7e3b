"""Which tokens of the current forward pass are steered, in absolute positions, whatever the KV cache holds."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.plan import Positions


class PassPositions:
    """Follows the forward passes of one model and tells for each which ``(row, column)`` are steered.

    ``mask`` is ``True`` when every column of the pass is steered, ``False`` when none is, else a boolean tensor of
    shape ``(rows, columns)``. A column is a token position counted with the padding before it; padding is never
    steered. A pass outside of :meth:`generating` is all prompt.
    """

    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        self.mask: Tensor | bool = True
        self._prompt: tuple[int, Tensor | None] | None = None
        self._columns_seen = 0

    @contextmanager
    def generating(self, prompt: Tensor | None, attention_mask: Tensor | None) -> Iterator[None]:
        """Passes inside belong to one ``generate`` call for a prompt of shape ``(rows, prompt columns)``."""
        before = self._prompt, self._columns_seen
        columns = 0 if prompt is None else prompt.shape[1]
        self._prompt, self._columns_seen = (columns, attention_mask), 0
        try:
            yield
        finally:
            self._prompt, self._columns_seen = before

    def begin_pass(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """The arguments of a forward pass tell where its columns start and which of them are real tokens."""
        if args:
            kwargs = {**dict(zip(inspect.signature(module.forward).parameters, args, strict=False)), **kwargs}
        tokens = _tokens(kwargs)
        rows, columns = tokens.shape[:2]
        mask = kwargs.get("attention_mask")
        if not isinstance(mask, Tensor) or mask.ndim != 2:
            mask = None
        start = self._start(kwargs, columns, mask)
        self._columns_seen = start + columns
        if self._prompt is None:
            self.mask = self._plain(rows, columns, start, mask, tokens.device)
        else:
            self.mask = self._generated(rows, columns, start, mask, tokens.device)

    def _start(self, kwargs: Mapping[str, Any], columns: int, mask: Tensor | None) -> int:
        if mask is not None:
            return max(0, mask.shape[1] - columns)
        cache = kwargs.get("past_key_values")
        if cache is None:
            cache = kwargs.get("cache_params")
        if cache is None:
            return 0
        if hasattr(cache, "get_seq_length"):
            try:
                return int(cache.get_seq_length())
            except (TypeError, ValueError, NotImplementedError):
                pass
        return self._columns_seen if self._prompt is not None else 0

    def _plain(
        self, rows: int, columns: int, start: int, mask: Tensor | None, device: torch.device
    ) -> Tensor | bool:
        if self.positions is Positions.GENERATED:
            return False
        real = _real(mask, start, columns)
        if self.positions is not Positions.LAST:
            return True if real is None else real
        if real is None:
            real = torch.ones(rows, columns, dtype=torch.bool, device=device)
        return _last_of(real)

    def _generated(
        self, rows: int, columns: int, start: int, mask: Tensor | None, device: torch.device
    ) -> Tensor | bool:
        assert self._prompt is not None
        prompt_columns, prompt_mask = self._prompt
        if start >= prompt_columns > 0:
            return self.positions is not Positions.PROMPT
        if mask is None and prompt_mask is not None and prompt_mask.ndim == 2:
            # Beams and several returned sequences repeat each row of the prompt in place.
            mask = prompt_mask.repeat_interleave(rows // prompt_mask.shape[0], dim=0)
            mask = torch.nn.functional.pad(mask, (0, max(0, start + columns - mask.shape[1])), value=1)
        real = _real(mask, start, columns)
        if real is None:
            if self.positions is Positions.ALL:
                return True
            real = torch.ones(rows, columns, dtype=torch.bool, device=device)
        absolute = torch.arange(start, start + columns, device=device)
        generated = (absolute >= prompt_columns).expand(rows, columns)
        if self.positions is Positions.ALL:
            return real
        if self.positions is Positions.PROMPT:
            return real & ~generated
        if self.positions is Positions.GENERATED:
            return generated
        return generated | self._prompt_end(real, absolute, mask, prompt_columns)

    @staticmethod
    def _prompt_end(real: Tensor, absolute: Tensor, mask: Tensor | None, prompt_columns: int) -> Tensor:
        """The final real token of each row's prompt, where this pass holds it."""
        if mask is None or mask.shape[1] < prompt_columns:
            return (absolute == prompt_columns - 1).expand_as(real)
        columns = torch.arange(prompt_columns, device=real.device)
        last = (columns * mask[:, :prompt_columns].to(torch.bool)).amax(dim=1, keepdim=True)
        return absolute == last


def _tokens(kwargs: Mapping[str, Any]) -> Tensor:
    for name in ("input_ids", "inputs_embeds"):
        if isinstance(kwargs.get(name), Tensor):
            tokens: Tensor = kwargs[name]
            return tokens
    for value in kwargs.values():
        if isinstance(value, Tensor):
            return value
    raise ValueError("a steered forward pass needs input_ids or inputs_embeds")


def _real(mask: Tensor | None, start: int, columns: int) -> Tensor | None:
    """The real tokens of the pass, ``None`` when all are: one look at the mask, so that a pass without padding
    needs no masking at all."""
    if mask is None:
        return None
    real = mask[:, start : start + columns].to(torch.bool)
    return None if bool(real.all()) else real


def _last_of(real: Tensor) -> Tensor:
    """Each row's last real column."""
    columns = torch.arange(real.shape[1], device=real.device)
    last = (columns * real).amax(dim=1, keepdim=True)
    return (columns == last) & real
