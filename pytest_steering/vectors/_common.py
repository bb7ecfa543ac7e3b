"""What is wrong with steering vectors, or with a file of them, as one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from pytest_steering.architecture.model import Architecture
from pytest_steering.errors import SteeringError


class VectorError(SteeringError, ValueError):
    """Steering vectors that cannot be made, or a file that cannot be used for this model: thing, reason and remedy."""


def needs(package: str, purpose: str) -> VectorError:
    """The error for an optional package that is not installed."""
    return VectorError(f"{purpose} needs the package {package}; run pip install 'pytest-steering[study]'")


def check_fit(path: Path, vectors: Mapping[int, Tensor], architecture: Architecture) -> None:
    """The vectors fit, or ``VectorError`` names the file, the layer and the reason."""
    if not vectors:
        raise VectorError(f"{path}: there are no steering vectors in it; give at least one")
    for layer, vector in vectors.items():
        reason = _misfit(layer, vector, architecture)
        if reason:
            raise VectorError(f"{path}: {reason}")


def _misfit(layer: int, vector: Tensor, architecture: Architecture) -> str:
    wide = architecture.hidden_size
    if not 0 <= layer < architecture.num_layers:
        return (
            f"there is no decoder layer {layer}: {architecture.layers_path} has layers "
            f"0 to {architecture.num_layers - 1}; the vectors are another model's"
        )
    if not vector.is_floating_point():
        return f"the vector of layer {layer} holds {vector.dtype}; a steering vector is of floating-point numbers"
    if vector.ndim != 1:
        return f"the vector of layer {layer} has shape {tuple(vector.shape)}; it must be ({wide},)"
    if vector.shape[0] != wide:
        return (
            f"the vector of layer {layer} has {vector.shape[0]} elements; the residual stream of "
            f"{architecture.layers_path} is {wide} wide (hidden_size={wide}); the vectors are another model's"
        )
    if not bool(torch.isfinite(vector).all()):
        return f"the vector of layer {layer} holds a NaN or an infinity; train it again"
    return ""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """What is written to the yielded path takes the place of ``path`` at the end; else what was there still is."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield unfinished
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
