"""What each rank of a run received, beside what the others did and what one process does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pytest_steering.architecture.observation import Trace
from pytest_steering.architecture.residual import same_bits
from pytest_steering.errors import Violation
from pytest_steering.oracle import tolerance
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.checks import named
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.forcing import forced
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.targets.ranks import Ranks
from pytest_steering.targets.target import Target

_NEAR = 0.02
"""How far a rank's share of the vector may be off to be called so."""


@dataclass(frozen=True)
class Run:
    """One run, as it can be sent to another rank: what arrived after each steered layer, pass by pass, and its end."""

    received: tuple[Mapping[int, Tensor], ...]
    result: Tensor

    @classmethod
    def of(cls, trace: Trace, layers: Sequence[int]) -> Run:
        """What a run showed of these layers."""
        passes = tuple({layer: step.received[layer] for layer in layers} for step in trace.passes)
        return cls(passes, trace.result)


class OneProcess:
    """The same weights in one process, which is rank 0; the reference implementation steers it."""

    def __init__(self, ranks: Ranks, harness: Harness, load: Callable[[], Target]) -> None:
        """``load`` gives the model as one process has it; it is called on rank 0 alone."""
        self._ranks, self._harness, self._load = ranks, harness, load
        self._one: Harness | None = None

    def run(self, make: Callable[[Harness], Run]) -> Run:
        """What ``make`` makes of the one process, on every rank."""
        return self._ranks.from_first(lambda: make(self._its_harness()))

    def floor(self, layer: int) -> float:
        """How far the unsteered model is from the one process after a layer; not applicable where that is more than
        rounding.

        Measured before any adapter is made: what one leaves behind is no reason to ask nothing.
        """
        return self._floors[0][layer]

    @property
    def floor_of_logits(self) -> float:
        """The same of the logits."""
        return self._floors[1]

    @cached_property
    def _floors(self) -> tuple[dict[int, float], float]:
        harness, every_layer = self._harness, self._harness.architecture.every_layer
        batch = harness.prompts.batch()
        here = Run.of(harness.unsteered.run(batch), every_layer)
        there = self.run(lambda one: Run.of(one.unsteered.run(batch), every_layer))
        floors = {}
        for layer in every_layer:
            one, other = here.received[0][layer], there.received[0][layer]
            floors[layer] = max(self._ranks.exchange(tolerance.furthest(one, other)))
            if floors[layer] > 8 * tolerance.rounding(other):
                not_applicable(
                    "the unsteered model itself computes otherwise over several ranks: "
                    f"max |Δ| {floors[layer]:.1e} after layer {layer}"
                )
        return floors, max(self._ranks.exchange(tolerance.furthest(here.result, there.result)))

    def _its_harness(self) -> Harness:
        if self._one is None:
            self._one = self._harness.beside(self._load())
        return self._one


def same(ranks: Ranks, harness: Harness, plan: SteeringPlan, steered: Run, plain: Run) -> None:
    """Every rank received the same, bit by bit, after each steered layer of each pass, and ended with the same."""
    for other in ranks.exchange(plain):
        if not _equal(other, plain):
            not_applicable("the ranks of the unsteered model do not receive the same bits")
    every = ranks.exchange(steered)
    layer = min(plan.vectors)
    for rank, other in enumerate(every):
        if not _equal(other, every[0]):
            far, number = _furthest(other, every[0], layer)
            raise Violation(
                f"rank {rank} receives another residual stream than rank 0: max |Δ| {far:.1e}; allowed 0",
                where=named(plan, layer) + (f", pass {number}" if len(plain.received) > 1 else ""),
                likely=likely(plan, [_delta(each, plain, layer, number) for each in every]),
            )


def as_one_process(
    ranks: Ranks, one_process: OneProcess, plan: SteeringPlan, steered: Run, plain: Run, expected: Run
) -> None:
    """What this rank received is what the one process did, within rounding and four times what the unsteered model
    differs by."""
    first = min(plan.vectors)
    every = ranks.exchange([_delta(steered, plain, first, number) for number in range(len(steered.received))])
    for layer in sorted(plan.vectors):
        for number, (here, there) in enumerate(zip(steered.received, expected.received, strict=True)):
            allowed = tolerance.rounding(there[layer], floor=one_process.floor(layer))
            far = tolerance.furthest(here[layer], there[layer])
            if far > allowed:
                step = f", pass {number}" if len(expected.received) > 1 else ""
                raise Violation(
                    f"the residual stream beside that of one process: max |Δ| {far:.1e}; allowed {allowed:.1e}",
                    where=f"{named(plan, layer)}{step}",
                    likely=likely(plan, [deltas[number] for deltas in every]),
                )
    if steered.result.is_floating_point():
        allowed = tolerance.rounding(expected.result, floor=one_process.floor_of_logits)
        far = tolerance.furthest(steered.result, expected.result)
        if far > allowed:
            raise Violation(
                f"the logits beside those of one process: max |Δ| {far:.1e}; allowed {allowed:.1e}",
                where=named(plan),
                likely=likely(plan, [deltas[0] for deltas in every]),
            )


def likely(plan: SteeringPlan, deltas: Sequence[Tensor]) -> Diagnosis | None:
    """What the shares of the plan's vector that arrived on each rank point to."""
    layer = min(plan.vectors)
    wanted = plan.vectors[layer].double() * plan.scale
    shares = [_share(delta, wanted) for delta in deltas]
    said = ", ".join(f"{share:.2g}" for share in shares)
    world = len(shares)

    def all_are(share: float, some: Sequence[float] = shares) -> bool:
        return all(abs(each - share) < _NEAR * max(1.0, share) for each in some)

    detail = f"{said} times the vector on ranks 0 to {world - 1}"
    if all_are(1.0):
        # What is left is another vector, or nothing of the first layer.
        return Diagnosis(Cause.RANKS_APART) if not _alike(deltas) else None
    if all_are(world):
        return Diagnosis(Cause.RANKS_SUMMED, detail)
    if all_are(1 / world):
        return Diagnosis(Cause.RANKS_SHARE, detail)
    if all(abs(share) < _NEAR or abs(share - 1) < _NEAR for share in shares) and any(share > 0.5 for share in shares):
        return Diagnosis(Cause.RANK_ALONE, detail)
    return Diagnosis(Cause.RANKS_APART, detail) if not _alike(deltas) else None


def _share(delta: Tensor, wanted: Tensor) -> float:
    """How many times the vector arrived at the token where most arrived; no number where something else did."""
    rows = delta.double().reshape(-1, delta.shape[-1])
    most = rows[rows.norm(dim=-1).argmax()]
    share = float(most @ wanted / wanted.square().sum())
    other = float((most - share * wanted).norm() / wanted.norm())
    return share if other < _NEAR else math.nan


def _alike(deltas: Sequence[Tensor]) -> bool:
    return all(torch.allclose(delta, deltas[0]) for delta in deltas)


def _delta(steered: Run, plain: Run, layer: int, number: int) -> Tensor:
    if number >= len(plain.received):
        return torch.zeros_like(steered.received[number][layer])
    return steered.received[number][layer].double() - plain.received[number][layer].double()


def _equal(one: Run, other: Run) -> bool:
    if len(one.received) != len(other.received) or not same_bits(one.result, other.result):
        return False
    return all(
        same_bits(here[layer], there[layer])
        for here, there in zip(one.received, other.received, strict=True)
        for layer in there
    )


def _furthest(one: Run, other: Run, layer: int) -> tuple[float, int]:
    """How far two ranks are apart after a layer, in the first pass in which they are."""
    for number, (here, there) in enumerate(zip(one.received, other.received, strict=False)):
        if far := tolerance.furthest(here[layer], there[layer]):
            return far, number
    return 0.0, 0


def replayed(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor], sequences: Tensor) -> Run:
    """``generate`` made to choose these tokens, steered by the reference implementation."""
    options: dict[str, Any] = {"logits_processor": forced(sequences)}
    return Run.of(harness.generated_expected(plan, inputs, **options), sorted(plan.vectors))
