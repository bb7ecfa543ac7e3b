"""What an engine should have said: log-probabilities of the reference implementation, on the engine's own tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pytest_steering.architecture.residual import logits_of
from pytest_steering.oracle import runs
from pytest_steering.oracle.plans import Plans
from pytest_steering.oracle.reference import deltas_of, reference
from pytest_steering.oracle.store import Store
from pytest_steering.oracle.unsteered import Unsteered
from pytest_steering.steering.plan import Positions, SteeringPlan
from pytest_steering.targets.target import Target

Steps = Sequence[tuple[SteeringPlan, Tensor]]
"""Plans, each with the token positions at which it steers: boolean, ``(tokens,)``."""

_KEPT = 256 * 2**20
"""Bytes of log-probabilities that are kept."""


def meant(plan: SteeringPlan, prompt: int, total: int) -> Tensor:
    """The token positions that a plan means, of ``total`` tokens whose first ``prompt`` are the prompt."""
    at = torch.arange(total)
    return {
        Positions.ALL: at >= 0,
        Positions.PROMPT: at < prompt,
        Positions.GENERATED: at >= prompt,
        Positions.LAST: at >= prompt - 1,
    }[plan.positions]


class Expected:
    """The reference implementation's log-probabilities of one model; all engines share them."""

    def __init__(self, target: Target, unsteered: Unsteered) -> None:
        self.target = target
        self.architecture = target.architecture
        self.unsteered = unsteered
        self.plans = Plans(target.architecture, unsteered)
        self._kept: Store[Tensor] = Store(lambda found: found.nbytes, _KEPT)

    def prompt(self, length: int, seed: int = 0) -> tuple[int, ...]:
        """Seeded token ids."""
        return tuple(self.unsteered.prompts.seeded_ids((1, length), seed)[0].tolist())

    def under(self, tokens: Sequence[int], plan: SteeringPlan | None, prompt: int) -> Tensor:
        """Log-probabilities after each token, ``(tokens, vocabulary)``, steered as the plan says."""
        return self.log_probs(tokens, () if plan is None else [(plan, meant(plan, prompt, len(tokens)))])

    def log_probs(self, tokens: Sequence[int], steps: Steps = ()) -> Tensor:
        """The same with each plan at positions of its own: double precision on the CPU."""
        steps = [(plan, where) for plan, where in steps if plan.scale and bool(where.any())]
        key = tuple(tokens), tuple((_contents(plan), tuple(where.tolist())) for plan, where in steps)
        return self._kept.once(key, lambda: self._run(tokens, steps))

    def _run(self, tokens: Sequence[int], steps: Steps) -> Tensor:
        ids = torch.tensor([list(tokens)])
        device = self.target.device
        inputs = self.architecture.model_inputs.inputs(ids.to(device), torch.ones_like(ids).to(device))
        with ExitStack() as stack:
            stack.enter_context(runs.running(self.target))
            for plan, where in steps:
                stack.enter_context(reference(self.architecture, deltas_of(plan), where[None]))
            logits = logits_of(self.target.model(**inputs))
        return torch.log_softmax(logits[0].double().cpu(), -1)

    @cached_property
    def smallest_effect(self) -> tuple[float, str]:
        """What the least bug does that must not be missed, in nats, and which it is.

        Bugs of one token that is not steered, of one layer that is left out, and of half the scale, each tried on the
        reference implementation: at the first, the middle and the last layer, at the tokens of a prompt.
        """
        return min(self._effects())

    def _effects(self) -> Iterator[tuple[float, str]]:
        tokens = self.prompt(7, seed=5)
        everywhere = torch.ones(len(tokens), dtype=torch.bool)
        layers = sorted({layer for place in ("first", "middle", "last") for layer in self.plans.layers(place)})
        for layer in layers:
            plan = self.plans.plan([layer])
            right = self.log_probs(tokens, [(plan, everywhere)])
            half = self.log_probs(tokens, [(replace(plan, scale=plan.scale / 2), everywhere)])
            yield _furthest(half, right), f"half the scale at layer {layer}"
            for left_out in range(len(tokens)):
                where = everywhere.clone()
                where[left_out] = False
                found = self.log_probs(tokens, [(plan, where)])
                yield _furthest(found, right), f"position {left_out} not steered at layer {layer}"
        both = self.plans.plan(layers)
        right = self.log_probs(tokens, [(both, everywhere)])
        for layer in layers if len(layers) > 1 else ():
            others = {each: vector for each, vector in both.vectors.items() if each != layer}
            found = self.log_probs(tokens, [(replace(both, vectors=others), everywhere)])
            yield _furthest(found, right), f"layer {layer} of {len(layers)} not steered"


def _furthest(left: Tensor, right: Tensor) -> float:
    return float((left - right).abs().amax())


def _contents(plan: SteeringPlan) -> tuple[Any, ...]:
    vectors: Iterable[tuple[int, Tensor]] = sorted(plan.vectors.items())
    return plan.scale, tuple((layer, vector.detach().cpu().double().numpy().tobytes()) for layer, vector in vectors)
