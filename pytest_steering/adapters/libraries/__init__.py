"""Steering libraries as subjects: one adapter each, which only translates a plan into the library's own calls.

The library finds the layers, adds the vector and removes it again. Nothing is checked or repaired on its behalf: a
plan goes in as it is, and what is not promised by the library's documentation is not declared.
"""

from __future__ import annotations

from importlib.metadata import version

from torch import nn

__all__ = ["refusal", "version"]


def refusal(library: str, model: nn.Module, error: Exception) -> ValueError:
    """The error of a library that does not take a model, with the library's own words."""
    said = " ".join(str(error).split()) or "no message"
    return ValueError(f"{library} refuses {type(model).__name__}: {type(error).__name__}: {said}")
