"""What arrives at the first steered layer of a pass: the sum of all open plans, exact at every token."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pytest_steering.adapters.protocol import accumulates
from pytest_steering.architecture.observation import Pass
from pytest_steering.architecture.residual import fitted
from pytest_steering.errors import Violation
from pytest_steering.oracle import tolerance
from pytest_steering.oracle.diagnosis.tokens import Evidence, likely_cause
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.asking import steered_tokens
from pytest_steering.scenarios.calls import Ask
from pytest_steering.steering.plan import Positions, SteeringPlan


@dataclass(frozen=True, eq=False)
class Arrival:
    """The residual stream of one pass after one layer, by the reference implementation, and what it is made of."""

    harness: Harness
    ask: Ask
    plans: list[SteeringPlan]
    """Those that steer this layer."""
    layer: int
    wanted: Tensor
    """``(rows, columns, hidden_size)``, with several streams before the last axis."""
    now: Pass
    alive: Tensor | None
    """The rows that have not ended; all when it is ``None``."""
    dtype: torch.dtype | None = None
    """What the adapter rounds to, where it is not the dtype of the residual stream."""

    def check(self, found: Tensor, added: Tensor | None, where: str) -> None:
        """What arrived is this within rounding at the steered tokens, and this elsewhere; ``Violation`` if not.

        ``added`` are the absolute values that the layer added up itself: an adapter that adds inside the layer rounds
        where they are large.
        """
        wanted, floor = self.wanted, self.harness.unsteered.floor(self.layer)
        delta, size, asked = self._asked()
        after, plain = wanted.double(), wanted.double() - delta
        magnitude = torch.maximum(torch.maximum(after.abs(), plain.abs()), size)
        if added is not None and added.shape == wanted.shape:
            inside = size if accumulates(self.harness.adapter) else 0
            magnitude = torch.maximum(magnitude, plain.abs() + added + inside)
        dtype = self.dtype or wanted.dtype
        ulps = len(self.plans) * tolerance.ulps_of(self.harness.adapter, dtype)
        allowed = tolerance.addition(magnitude, dtype, ulps=ulps, floor=floor)
        allowed = torch.where(_spread(asked, wanted), allowed, floor)
        off = (found.double() - after).abs()
        off[(found == wanted) | (found.isnan() & wanted.isnan())] = 0.0
        # Where the unsteered stream is infinite or no number, so is what is allowed.
        beyond = torch.where(allowed.isfinite(), off.nan_to_num(torch.inf, torch.inf) - allowed, -torch.inf)
        if not bool((beyond > 0).any()):
            return
        row, column = divmod(int(beyond.flatten(2).amax(2).argmax()), int(wanted.shape[1]))
        likely = None
        if len(self.plans) == 1 and wanted.ndim == 3 and self.plans[0].rows is None:
            (plan,) = self.plans
            vector = plan.vectors[self.layer].detach().double().to(wanted.device)
            padding = ~self._tokens(replace(plan, positions=Positions.ALL, rows=None))
            likely = likely_cause(Evidence(found.double() - plain, vector, plan.scale, asked, padding, before=plain))
        raise Violation(
            f"max |Δ| {float(off[row, column].amax()):.1e} at row {row}, position {self.now.start + column}; "
            f"allowed {f'{ulps} ulp' if bool(asked[row, column]) else 'none (not steered here)'}",
            where=where,
            likely=likely,
        )

    def _asked(self) -> tuple[Tensor, Tensor, Tensor]:
        """What all plans add, its absolute size, and the tokens that any of them steers."""
        delta = torch.zeros_like(self.wanted, dtype=torch.float64)
        size = torch.zeros_like(delta)
        asked = torch.zeros(self.wanted.shape[:2], dtype=torch.bool, device=self.wanted.device)
        for plan in self.plans:
            tokens = self._tokens(plan)
            asked |= tokens
            vector = plan.vectors[self.layer].detach().double().to(self.wanted.device) * plan.scale
            delta += _spread(tokens, self.wanted) * vector
            size += _spread(tokens, self.wanted) * vector.abs()
        return delta, size, asked

    def _tokens(self, plan: SteeringPlan) -> Tensor:
        tokens = steered_tokens(plan, self.ask)(self.now).to(self.wanted.device)
        if self.alive is not None and len(self.alive) == len(tokens):
            tokens = tokens[self.alive]
        return fitted(tokens, self.wanted.shape[1])


def _spread(tokens: Tensor, residual: Tensor) -> Tensor:
    return tokens.view(*tokens.shape, *[1] * (residual.ndim - 2))
