"""Seeded vectors of a small model's width, for the tests of files that hold them."""

from __future__ import annotations

import torch
from torch import Tensor

WIDE = 32


def made(*layers: int, dtype: torch.dtype = torch.float32) -> dict[int, Tensor]:
    """A vector ``(32,)`` for each layer, the same each time."""
    return {layer: torch.randn(WIDE, generator=torch.Generator().manual_seed(layer)).to(dtype) for layer in layers}
