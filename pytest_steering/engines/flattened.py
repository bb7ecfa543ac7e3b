"""Steering in a flattened batch: the tokens of all requests in one row after another, with no batch axis."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor

from pytest_steering.engines.protocol import Request
from pytest_steering.steering.plan import Positions, SteeringPlan


@dataclass(frozen=True)
class Span:
    """The tokens of one request that a pass computes."""

    row: int
    """Where the first of them lies in the flattened batch."""
    count: int
    position: int
    """The absolute token position of the first: so many tokens of the request lie before it."""


@dataclass(frozen=True, eq=False)
class Steered:
    """How one request is steered, whatever becomes of the plan that it was made from."""

    deltas: Mapping[int, Tensor]
    """By decoder layer, ``scale * vector`` in the residual stream's dtype, on its device."""
    positions: Positions
    prompt: int
    """The length of the prompt."""


@dataclass(frozen=True, eq=False)
class Addition:
    """What is added to the residual stream behind one layer in one pass."""

    rows: Tensor
    """Indices into the flattened batch."""
    values: Tensor
    """``(rows, hidden_size)``."""

    def to(self, output: Any) -> Any:
        """What a layer returns, steered.

        A layer returns the residual stream, or a tuple that begins with it or with a part of it: where the rest of it
        follows as a tensor of its own, the next layer sums the two, and the addition goes to the first alone.
        """
        if isinstance(output, tuple):
            return self.to(output[0]), *output[1:]
        return output.index_add(output.ndim - 2, self.rows, self.values.expand(*output.shape[:-2], -1, -1))


def steered_rows(positions: Positions, prompt: int, span: Span) -> range:
    """The rows of the flattened batch that are steered, of the tokens of one request whose prompt is so long."""
    first, end = {
        Positions.ALL: (0, None),
        Positions.PROMPT: (0, prompt),
        Positions.GENERATED: (prompt, None),
        Positions.LAST: (prompt - 1, None),
    }[positions]
    start = min(max(0, first - span.position), span.count)
    stop = span.count if end is None else min(max(start, end - span.position), span.count)
    return range(span.row + start, span.row + stop)


def additions(tokens: Iterable[tuple[Steered, Span]]) -> dict[int, Addition]:
    """By decoder layer, what is added in a pass over these tokens of these requests."""
    rows: dict[int, list[int]] = {}
    values: dict[int, list[Tensor]] = {}
    for steered, span in tokens:
        where = steered_rows(steered.positions, steered.prompt, span)
        for layer, delta in steered.deltas.items() if where else ():
            rows.setdefault(layer, []).extend(where)
            values.setdefault(layer, []).append(delta.expand(len(where), -1))
    return {
        layer: Addition(torch.tensor(found, device=values[layer][0].device), torch.cat(values[layer]))
        for layer, found in rows.items()
    }


def cache_key(request: Request) -> str | None:
    """What the keys and values of a prefix depend on beside its tokens; ``None`` where nothing is steered.

    Where not all positions are meant, that is also the length of the prompt: the same token may be one of the prompt
    in one request, and generated in another.
    """
    plan = request.plan
    if not steers(plan):
        return None
    key = hashlib.sha256(f"{float(plan.scale)!r} {plan.positions}".encode())
    if plan.positions is not Positions.ALL:
        key.update(f" {len(request.prompt)}".encode())
    for layer, vector in sorted(plan.vectors.items()):
        key.update(f" {layer} ".encode() + vector.detach().cpu().double().numpy().tobytes())
    return key.hexdigest()


def steers(plan: SteeringPlan | None) -> TypeGuard[SteeringPlan]:
    """A plan at scale 0 is no plan."""
    return plan is not None and plan.scale != 0
