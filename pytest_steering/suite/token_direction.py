"""The direction in the residual stream that raises one token's logit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.architecture.compiled import eager
from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.observation import at_receiver
from pytest_steering.architecture.residual import logits_of


def token_direction(model: nn.Module, architecture: Architecture, inputs: Mapping[str, Any], token: int) -> Tensor:
    """The gradient of the last position's logit of ``token`` with respect to the last residual stream.

    Shape ``(hidden_size,)``, float32 on the CPU, scaled to a root mean square of 1, averaged over the rows. It is the
    token's unembedding direction as seen through the final norm. ``ValueError`` when the logit does not depend on it.
    """
    offsets: list[Tensor] = []

    def shifted(tensor: Tensor) -> Tensor:
        if not offsets:
            # Zero, and the same each time that the layer runs, as a steering vector is.
            offsets.append(torch.zeros_like(tensor, requires_grad=True))
        return tensor + offsets[0]

    last = architecture.num_layers - 1
    with eager(model), torch.enable_grad(), at_receiver(architecture, last, shifted, edits=True):
        logit = logits_of(model(**inputs))[:, -1, token].float().sum()
    (gradient,) = torch.autograd.grad(logit, offsets)
    direction = gradient[:, -1].float().flatten(0, -2).mean(0).cpu()
    if not bool(direction.any()):
        raise ValueError(f"the logit of token {token} does not depend on the last residual stream")
    return direction / direction.square().mean().sqrt()
