"""What each rank of a run received, beside what the others did and what one process does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    for rank, other in enumerate(every):
        if not _equal(other, every[0]):
            layer = min(plan.vectors)
            far = _furthest(other, every[0], layer)
            raise Violation(
                f"rank {rank} receives another residual stream than rank 0: max |Δ| {far:.1e}; allowed 0",
                where=named(plan, layer),
                likely=likely(plan, [_delta(each, plain, layer) for each in every]),
            )


def as_one_process(
    ranks: Ranks, plan: SteeringPlan, steered: Run, plain: Run, *, expected: Run, plain_one: Run
) -> None:
    """What this rank received is what the one process did, within rounding and four times what the unsteered model
    differs by."""
    deltas = ranks.exchange(_delta(steered, plain, min(plan.vectors)))
    for layer in sorted(plan.vectors):
        for number, (here, there) in enumerate(zip(steered.received, expected.received, strict=True)):
            floor = _sound(plain.received[number][layer], plain_one.received[number][layer], layer)
            allowed = tolerance.rounding(there[layer], floor=floor)
            far = tolerance.furthest(here[layer], there[layer])
            if far > allowed:
                step = f", pass {number}" if len(expected.received) > 1 else ""
                raise Violation(
                    f"the residual stream beside that of one process: max |Δ| {far:.1e}; allowed {allowed:.1e}",
                    where=f"{named(plan, layer)}{step}",
                    likely=likely(plan, deltas),
                )
    if steered.result.is_floating_point():
        allowed = tolerance.rounding(expected.result, floor=tolerance.furthest(plain.result, plain_one.result))
        far = tolerance.furthest(steered.result, expected.result)
        if far > allowed:
            raise Violation(
                f"the logits beside those of one process: max |Δ| {far:.1e}; allowed {allowed:.1e}",
                where=named(plan),
                likely=likely(plan, deltas),
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
    """How much of the vector arrived at the token where most arrived."""
    size = float(wanted.square().sum())
    along = (delta.double() @ wanted) / size
    return float(along.flatten()[along.abs().argmax()]) if along.numel() else 0.0


def _alike(deltas: Sequence[Tensor]) -> bool:
    return all(torch.allclose(delta, deltas[0]) for delta in deltas)


def _delta(steered: Run, plain: Run, layer: int) -> Tensor:
    return steered.received[0][layer].double() - plain.received[0][layer].double()


def _sound(here: Tensor, there: Tensor, layer: int) -> float:
    """How far the unsteered model is from that of one process; not applicable where that is more than rounding."""
    far = tolerance.furthest(here, there)
    if far > 8 * tolerance.rounding(there):
        not_applicable(
            f"the unsteered model itself computes otherwise over several ranks: max |Δ| {far:.1e} after layer {layer}"
        )
    return far


def _equal(one: Run, other: Run) -> bool:
    if len(one.received) != len(other.received) or not same_bits(one.result, other.result):
        return False
    return all(
        same_bits(here[layer], there[layer])
        for here, there in zip(one.received, other.received, strict=True)
        for layer in there
    )


def _furthest(one: Run, other: Run, layer: int) -> float:
    pairs = zip(one.received, other.received, strict=False)
    return max((tolerance.furthest(here[layer], there[layer]) for here, there in pairs), default=0.0)


def replayed(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor], sequences: Tensor) -> Run:
    """``generate`` made to choose these tokens, steered by the reference implementation."""
    options: dict[str, Any] = {"logits_processor": forced(sequences)}
    return Run.of(harness.generated_expected(plan, inputs, **options), sorted(plan.vectors))
