"""What stands beside text where a model does not run on text alone: an image, its patches, the place of each word."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.architecture.weights import weights_of

SOURCE_TOKENS = 6
"""How long the text is that an encoder reads."""
_SIDE = 4
"""Patches along each side of a flattened image."""


def beside_text(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """What ``model`` might want beside text, one row of each: an image, then all that is known to its ``forward``."""
    accepted = inspect.signature(model.forward).parameters
    dtype = next((weight.dtype for weight in weights_of(model) if weight.is_floating_point()), torch.float32)
    made = {name: make(model) for name, make in _MAKERS.items() if name in accepted}
    known = {name: tensor.to(dtype) for name, tensor in made.items() if tensor is not None}
    if "pixel_values" in known:
        yield {"pixel_values": known["pixel_values"]}
    if known.keys() - {"pixel_values"}:
        yield known


def _image(model: nn.Module) -> Tensor | None:
    """A seeded square image ``(1, channels, size, size)`` as the config describes it; none when it does not."""
    for part in _parts(model):
        size = getattr(part, "image_size", None)
        if isinstance(size, int):
            return _seeded(1, int(getattr(part, "num_channels", 3)), size, size)
    return None


def _patches(model: nn.Module) -> Tensor | None:
    """Seeded patches of an image ``(1, patches, 2 + width)``, each with its row and its column before it."""
    for part in _parts(model):
        width = getattr(part, "patch_embed_hidden_size", None)
        if isinstance(width, int):
            along = torch.arange(1.0, _SIDE + 1)
            return torch.cat([torch.cartesian_prod(along, along)[None], _seeded(1, _SIDE**2, width)], dim=-1)
    return None


def _boxes(_model: nn.Module) -> Tensor:
    """Where each word of the source stands on its page, ``(1, words, 4)``: in one line from left to right."""
    left = torch.arange(SOURCE_TOKENS) / SOURCE_TOKENS
    return torch.stack([left, torch.full_like(left, 0.25), left + 0.125, torch.full_like(left, 0.5)], dim=-1)[None]


_MAKERS: Mapping[str, Callable[[nn.Module], Tensor | None]] = {
    "pixel_values": _image,
    "flattened_patches": _patches,
    "bbox": _boxes,
}


def _parts(model: nn.Module) -> tuple[Any, ...]:
    config = getattr(model, "config", None)
    return getattr(config, "vision_config", None), getattr(config, "encoder", None), config


def _seeded(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
