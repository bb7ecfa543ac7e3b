"""What should have happened: the same plan, steered by the reference implementation that no adapter shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.observation import Pass, at_receiver, following
from pytest_steering.architecture.residual import fitted
from pytest_steering.steering.plan import SteeringPlan


def deltas_of(plan: SteeringPlan) -> dict[int, Tensor]:
    """``scale * vector`` of each steered layer, ``(hidden_size,)`` in double precision."""
    return {layer: vector.double() * plan.scale for layer, vector in plan.vectors.items()}


@contextmanager
def reference(
    architecture: Architecture,
    deltas: Mapping[int, Tensor],
    where: Tensor | Callable[[Pass], Tensor] | None = None,
    shaken: torch.Generator | None = None,
) -> Iterator[None]:
    """The model is steered inside the block by editing what the module after each layer receives.

    ``deltas`` maps a decoder layer to ``scale * vector`` in double precision; ``where`` of shape
    ``(rows, absolute columns)`` says which tokens are steered (all of them when it is ``None``), or is asked in every
    pass for those of the pass. With ``shaken``, what is added and what comes of it are each rounded a little otherwise,
    as by an implementation that adds in another order.
    """
    passes: list[Pass] = []
    with ExitStack() as stack:
        stack.enter_context(following(architecture, passes))
        for layer, delta in deltas.items():

            def push(tensor: Tensor, delta: Tensor = delta) -> Tensor:
                step = delta.to(tensor.device, tensor.dtype)
                steered = tensor + step if shaken is None else _otherwise(tensor + _otherwise(step, shaken), shaken)
                now = passes[-1]
                if callable(where):
                    mask = where(now).to(tensor.device)
                elif where is not None:
                    mask = where[:, now.start : now.start + now.columns].to(tensor.device)
                elif architecture.extra_positions.in_stream:
                    mask = torch.ones(tensor.shape[0], now.columns, dtype=torch.bool, device=tensor.device)
                else:
                    return steered
                mask = fitted(mask, tensor.shape[1])
                return torch.where(mask.view(*mask.shape, *[1] * (tensor.ndim - 2)), steered, tensor)

            stack.enter_context(at_receiver(architecture, layer, push, edits=True))
        yield


def _otherwise(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Each number, or one of its neighbours."""
    some = (torch.randint(3, tensor.shape, generator=generator) - 1).to(tensor.device, tensor.dtype)
    return tensor * (1 + torch.finfo(tensor.dtype).eps * some)
