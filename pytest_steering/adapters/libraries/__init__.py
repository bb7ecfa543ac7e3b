"""Steering libraries as subjects: one adapter each, which only translates a plan into the library's own calls.

The library finds the layers, adds the vector and removes it again. Nothing is checked or repaired on its behalf: a
plan goes in as it is, and what is not promised by the library's documentation is not declared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from torch import nn

__all__ = ["no_such_layer_refused", "refusal", "version"]

_LONG = 120


def refusal(library: str, model: nn.Module, error: Exception) -> ValueError:
    """The error of a library that does not take a model, with the library's own words.

    Of a long message, which lists all it knows or prints the whole model, the first sentence or the end is told.
    """
    said = " ".join(str(error).split()) or "no message"
    if len(said) > _LONG:
        first = said.partition(". ")[0]
        said = first if len(first) <= _LONG else f"… {said[said.rfind(')') + 1 :].strip()[-_LONG:]}"
    return ValueError(f"{library} refuses {type(model).__name__}: {type(error).__name__}: {said}")


@contextmanager
def no_such_layer_refused() -> Iterator[None]:
    """A library that has no layer of an index says so by an ``IndexError``; an adapter does by a ``ValueError``."""
    try:
        yield
    except IndexError as error:
        raise ValueError(f"there is no such layer: {error}") from error
