"""What a requirement measured on its way to a verdict, small enough for a report: nothing is run for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pytest_steering.architecture.observation import Pass, Trace
from pytest_steering.steering.plan import SteeringPlan

ROWS = 6
COLUMNS = 32
"""As many rows and tokens of a batch are kept."""
MOST = 12
"""Figures of one test."""
_MOVED = 1e-3
"""Of the largest element of the delta: what moves less was not steered."""


class Figures:
    """The figures of the test that runs now: each is a dict of plain values, with its ``kind``."""

    def __init__(self) -> None:
        self._kept: list[dict[str, Any]] = []

    def take(self) -> list[dict[str, Any]]:
        """All that were noted since the last time."""
        taken, self._kept = self._kept, []
        return taken

    def note(self, kind: str, **values: Any) -> None:
        """One figure is kept; floats that are no numbers become ``None``."""
        if len(self._kept) < MOST:
            self._kept.append({"kind": kind, **{name: _plain(value) for name, value in values.items()}})

    def arrival(
        self,
        plan: SteeringPlan,
        layer: int,
        pairs: Sequence[tuple[Pass, Pass]],
        asked: Tensor,
        *,
        prompt: int,
        padding: Tensor | None = None,
    ) -> None:
        """Which tokens moved after ``layer`` in the passes of one run, and by how many vectors.

        ``pairs`` are passes steered and unsteered, ``asked`` and ``padding`` are ``(rows, absolute columns)``, and the
        first ``prompt`` columns were given and not generated.
        """
        if len(self._kept) >= MOST:
            return
        vector = plan.vectors[layer].detach().double().cpu()
        size = float(vector.abs().amax())
        if not size or not math.isfinite(size):
            return
        # A token that was generated last went through no pass.
        reached = max((step.start + step.columns for step, _ in pairs), default=0)
        rows, columns = min(ROWS, asked.shape[0]), min(COLUMNS, asked.shape[1], reached)
        direction = vector / size
        arriving, moved = torch.zeros(rows, columns, dtype=torch.double), torch.zeros(rows, columns, dtype=torch.bool)
        for step, before in pairs:
            steered, plain = step.received.get(layer), before.received.get(layer)
            if steered is None or plain is None or steered.shape != plain.shape or len(steered) != len(asked):
                return
            shift = (steered[:rows].double() - plain[:rows].double()).cpu()[:, -step.columns :]
            if shift.shape[1] != step.columns:
                return
            shift = shift.flatten(2, -2).mean(2) if shift.ndim > 3 else shift
            width = max(0, min(columns - step.start, step.columns))
            here = slice(step.start, step.start + width)
            arriving[:, here] = (shift @ direction / (direction @ direction) / size)[:, :width]
            moved[:, here] = (shift.abs().amax(-1) > _MOVED * size * abs(plan.scale))[:, :width]
        self.note(
            "arrival",
            layer=layer,
            scale=float(plan.scale),
            positions=str(plan.positions),
            prompt=prompt,
            asked=asked[:rows, :columns].int().tolist(),
            moved=moved.int().tolist(),
            arriving=arriving.tolist(),
            padding=None if padding is None else padding[:rows, :columns].int().tolist(),
        )

    def layers(self, layer: int, plain: Trace, steered: Trace, expected: Trace) -> None:
        """How far the residual stream after every decoder layer moves when ``layer`` is steered, relative to its size:
        under the adapter, and under the reference implementation."""
        self.note("layers", layer=layer, steered=_distances(steered, plain), expected=_distances(expected, plain))


def _distances(trace: Trace, plain: Trace) -> list[float | None]:
    found: list[float | None] = []
    for layer, before in sorted(plain.passes[0].received.items()):
        after = trace.passes[0].received.get(layer) if trace.passes else None
        if after is None or after.shape != before.shape:
            found.append(None)
            continue
        size = float(before.double().square().mean().sqrt())
        moved = float((after.double() - before.double()).square().mean().sqrt())
        found.append(moved / size if size else None)
    return found


def _plain(value: Any) -> Any:
    """Rounded to what a plot shows."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
