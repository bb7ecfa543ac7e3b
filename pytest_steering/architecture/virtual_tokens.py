"""Positions of a model's own before the tokens, and what is left of a pass's arguments without them.

Prompt tuning puts learnt embeddings before those of a prompt, prefix tuning keys and values into its cache: virtual
tokens, which have no ids. A wrapper adds them, and the model inside it generates, around the wrapper's own forward.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pytest_steering.architecture.inputs import cache_in, input_mask, input_tokens, parameters_of


@dataclass(frozen=True)
class ExtraPositions:
    """How many positions of a model's own stand before the tokens, and where."""

    in_stream: int = 0
    """In what a decoder layer emits, in the first pass."""
    virtual: int = 0
    """Before the tokens in the mask and in the cache that the entry is given."""
    embedded: int = 0
    """Before the tokens themselves, where the entry is given them embedded."""


NONE = ExtraPositions()
"""A model that puts nothing before the tokens."""


class TokensAlone:
    """Leaves virtual tokens out of what the entry is called with, pass by pass.

    A pass that begins at nothing and has ids has none: they have no ids. What is computed on from it has none either.
    """

    def __init__(self, extra: ExtraPositions) -> None:
        self._extra = extra
        self.in_stream = extra.in_stream > 0
        """The layers may run on some in this pass."""
        self._cache: weakref.ref[Any] | None = None
        """That of the last pass."""
        self._virtual = extra.virtual
        """How many stand before the tokens in its mask."""
        self._held = 0
        """How many the cache holds when a pass begins: a wrapper may put them before each."""

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """``args`` and ``kwargs`` as they would be without virtual tokens: themselves where the model has none."""
        if not self._extra.virtual:
            return args, kwargs
        given = {**dict(zip(parameters_of(module), args, strict=False)), **kwargs}
        tokens, mask, cache = input_tokens(given), input_mask(given), cache_in(given)
        embedded = tokens.is_floating_point()
        if cache is None or self._cache is None or self._cache() is not cache:
            self._cache = None if cache is None else weakref.ref(cache)
            goes_on = _goes_on(tokens, mask, cache)
            self._virtual = self._extra.virtual if embedded or goes_on else 0
            self._held = self._virtual if goes_on else 0
        fits = embedded and tokens.shape[1] > self._extra.embedded
        among = min(self._virtual, self._extra.embedded) if fits else 0
        for name, value in given.items():
            if value is tokens:
                given[name] = tokens[:, among:]
            elif value is mask and isinstance(mask, Tensor):
                given[name] = mask[:, self._virtual :]
            elif value is cache and cache is not None:
                given[name] = _Holding(cache, self._held)
        self._held += among
        self.in_stream = among > 0
        return (), given


def _goes_on(tokens: Tensor, mask: Tensor | None, cache: Any) -> bool:
    """Something stands before these tokens."""
    if cache is not None:
        return int(cache.get_seq_length()) > 0
    return mask is not None and mask.shape[1] > tokens.shape[1]


class _Holding:
    """A cache that says of itself that it holds fewer tokens, and room for as many."""

    def __init__(self, cache: Any, fewer: int) -> None:
        self._cache = cache
        self._fewer = fewer

    def get_seq_length(self) -> Any:
        """As a cache of transformers says it."""
        return self._cache.get_seq_length() - self._fewer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cache, name)
