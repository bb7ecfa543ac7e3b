"""Which tokens of the current forward pass are steered, in absolute positions, whatever the KV cache holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from pytest_steering.architecture.inputs import begins_at, input_mask, input_tokens, parameters_of
from pytest_steering.architecture.virtual_tokens import NONE, ExtraPositions, TokensAlone
from pytest_steering.steering.plan import Positions


@dataclass(frozen=True, eq=False)
class Prompt:
    """The prompt of one ``generate`` call."""

    rows: int
    columns: int
    attention_mask: Tensor | None


class Generation:
    """What is generated from while one model generates: known to every block that steers it."""

    _of_models: ClassVar[WeakKeyDictionary[nn.Module, Generation]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.prompt: Prompt | None = None

    @classmethod
    def shared(cls, model: nn.Module) -> Generation:
        """That of the model, whichever adapter asks: one generates in a block of another."""
        return cls._of_models.setdefault(model, cls())

    @contextmanager
    def of(self, prompt: Tensor | None, attention_mask: Tensor | None) -> Iterator[None]:
        """Passes inside belong to one ``generate`` call for a prompt of shape ``(rows, prompt columns)``."""
        rows, columns = (0, 0) if prompt is None else prompt.shape[:2]
        with self._is(Prompt(rows, columns, attention_mask)):
            yield

    def outside(self) -> AbstractContextManager[None]:
        """Passes inside belong to no generation, also where a logits processor calls the steered model."""
        return self._is(None)

    @contextmanager
    def _is(self, prompt: Prompt | None) -> Iterator[None]:
        before, self.prompt = self.prompt, prompt
        try:
            yield
        finally:
            self.prompt = before


class PassPositions:
    """Follows the forward passes of one model and tells for each which ``(row, column)`` are steered.

    ``mask`` is ``True`` when every column of the pass is steered, ``False`` when none is, else a boolean tensor of
    shape ``(rows, columns)``. A column is a token position counted with the padding before it; padding is never
    steered. A pass outside of :meth:`generating` is all prompt.
    """

    def __init__(
        self,
        positions: Positions,
        extra: ExtraPositions = NONE,
        generation: Generation | None = None,
        rows: tuple[int, ...] | None = None,
    ) -> None:
        """Where ``extra`` positions of the model's own stand before the tokens, the mask is never simply ``True``.

        Blocks that may be nested share a ``generation``: whichever of them generates, all know it. With ``rows``, no
        other rows of the batch are steered.
        """
        self.positions = positions
        self.of_rows = rows
        self._chosen: dict[tuple[int, int, torch.device], Tensor] = {}
        """Which rows of a pass these are: the same in every pass of one shape."""
        self.extra = extra
        self._alone = TokensAlone(extra)
        self.generation = generation or Generation()
        self.mask: Tensor | bool = True
        self.start = 0
        """The first absolute column of the current pass."""
        self.columns = 0
        self.rows = 0
        self._last: tuple[Prompt | None, int, int] = None, 0, 0
        """The last pass of a generation: its prompt, its first column, and how many it has."""

    @property
    def prompt(self) -> Prompt | None:
        """Inside ``generate``, what is generated from."""
        return self.generation.prompt

    def generating(self, prompt: Tensor | None, attention_mask: Tensor | None) -> AbstractContextManager[None]:
        """Passes inside belong to one ``generate`` call for a prompt of shape ``(rows, prompt columns)``."""
        return self.generation.of(prompt, attention_mask)

    def begin_pass(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """The arguments of a forward pass tell where its columns start and which of them are real tokens."""
        args, kwargs = self._alone(module, args, kwargs)
        if args:
            kwargs = {**dict(zip(parameters_of(module), args, strict=False)), **kwargs}
        tokens, mask = input_tokens(kwargs), input_mask(kwargs)
        rows, columns = tokens.shape[:2]
        self.start = self._start(kwargs, columns, mask)
        self.rows, self.columns = rows, columns
        if self.prompt is None:
            self.mask = self._plain(mask, tokens.device)
        else:
            self.mask = self._generated(self.prompt, mask, tokens.device)
        if self.mask is True and self._alone.in_stream:
            self.mask = torch.ones(rows, columns, dtype=torch.bool, device=tokens.device)
        if self.of_rows is not None and self.mask is not False:
            shape = rows if self.prompt is None else self.prompt.rows, rows, tokens.device
            if shape not in self._chosen:
                with torch.inference_mode(False):
                    self._chosen[shape] = rows_chosen(self.of_rows, *shape)
            chosen = self._chosen[shape].expand(rows, columns)
            self.mask = chosen if self.mask is True else self.mask & chosen

    def _start(self, kwargs: Mapping[str, Any], columns: int, mask: Tensor | None) -> int:
        start = begins_at(kwargs, columns, mask)
        if start is None:
            # A recurrent state does not know how many tokens it has seen; a pass over all of them is longer than the
            # last.
            prompt, before, width = self._last
            anew = self.prompt is None or self.prompt is not prompt or columns > width
            start = 0 if anew else before + width
        if self.prompt is not None:
            self._last = self.prompt, start, columns
        return start

    def _plain(self, mask: Tensor | None, device: torch.device) -> Tensor | bool:
        if self.positions is Positions.GENERATED:
            return False
        real = _real(_reaching(mask, self.start + self.columns), self.start, self.columns)
        if self.positions is not Positions.LAST:
            return True if real is None else real
        if real is None:
            real = torch.ones(self.rows, self.columns, dtype=torch.bool, device=device)
        return _last_of(real)

    def _generated(self, prompt: Prompt, mask: Tensor | None, device: torch.device) -> Tensor | bool:
        start, rows, columns = self.start, self.rows, self.columns
        if start >= prompt.columns > 0:
            return self.positions is not Positions.PROMPT
        known = _each_row(prompt, rows)
        mask = _reaching(known if mask is None else mask, start + columns)
        real = _real(mask, start, columns)
        if real is None:
            if self.positions is Positions.ALL:
                return True
            real = torch.ones(rows, columns, dtype=torch.bool, device=device)
        absolute = torch.arange(start, start + columns, device=device)
        generated = (absolute >= prompt.columns).expand(rows, columns)
        if self.positions is Positions.ALL:
            return real
        if self.positions is Positions.PROMPT:
            return real & ~generated
        if self.positions is Positions.GENERATED:
            return generated
        # In chunks the mask of a pass ends with the chunk: that of the prompt knows where the prompt ends.
        return generated | self._prompt_end(real, absolute, mask if known is None else known, prompt.columns)

    @staticmethod
    def _prompt_end(real: Tensor, absolute: Tensor, mask: Tensor | None, prompt_columns: int) -> Tensor:
        """The final real token of each row's prompt, where this pass holds it."""
        if mask is None or mask.shape[1] < prompt_columns:
            return (absolute == prompt_columns - 1).expand_as(real)
        columns = torch.arange(prompt_columns, device=real.device)
        last = (columns * mask[:, :prompt_columns].to(torch.bool)).amax(dim=1, keepdim=True)
        return (absolute == last) & real


def rows_chosen(chosen: tuple[int, ...], prompts: int, rows: int, device: torch.device) -> Tensor:
    """Which of the ``rows`` of a pass belong to the chosen ones of so many prompts, ``(rows, 1)``: beams and several
    returned sequences repeat each in place."""
    prompt = torch.arange(rows) * max(1, prompts) // max(1, rows)
    return torch.isin(prompt, torch.tensor(chosen)).unsqueeze(1).to(device)


def _each_row(prompt: Prompt, rows: int) -> Tensor | None:
    """The prompt's mask for every row of a pass: beams and several returned sequences repeat each row in place."""
    mask = prompt.attention_mask
    if mask is None or mask.ndim != 2:
        return None
    return mask.repeat_interleave(rows // prompt.rows, dim=0)


def _reaching(mask: Tensor | None, columns: int) -> Tensor | None:
    """The mask with at least so many columns: some models put a token after the prompt in which they write the next."""
    missing = 0 if mask is None else columns - mask.shape[1]
    return mask if mask is None or missing <= 0 else torch.nn.functional.pad(mask, (0, missing), value=1)


def _real(mask: Tensor | None, start: int, columns: int) -> Tensor | None:
    """The real tokens of the pass, ``None`` when all are known to be: one look at the mask, so that a pass without
    padding needs no masking at all. A GPU's mask is not looked at, for that would wait for all that the GPU does."""
    if mask is None:
        return None
    real = mask[:, start : start + columns].to(torch.bool)
    return None if real.device.type == "cpu" and bool(real.all()) else real


def _last_of(real: Tensor) -> Tensor:
    """Each row's last real column."""
    columns = torch.arange(real.shape[1], device=real.device)
    last = (columns * real).amax(dim=1, keepdim=True)
    return (columns == last) & real
