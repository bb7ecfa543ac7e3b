"""A model that is spread over several processes is steered on each of them, and as in one."""

from __future__ import annotations

import pytest

from pytest_steering.errors import Violation
from pytest_steering.oracle import comparison
from pytest_steering.oracle import ranks as beside
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.checks import named
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.ranks import OneProcess, Run
from pytest_steering.steering.plan import Positions, SteeringPlan
from pytest_steering.targets.ranks import Ranks

LEFT = Diagnosis(Cause.LEFT)
PLACES = ("first", "middle", "last")


@pytest.mark.parametrize("scale", [0.5, -3.0])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="same-on-every-rank", core=True, since="1.1")
def test_same_on_every_rank(harness: Harness, ranks: Ranks, place: str, scale: float) -> None:
    """every rank receives the same steered residual stream, and computes the same logits, to the last bit.

    Unless those of the unsteered model differ. What each rank received is exchanged, so that all of them know it.
    """
    for layer in harness.plans.layers(place):
        plan = harness.plans.plan([layer], scale)
        beside.same(ranks, harness, plan, _steered(harness, plan), _plain(harness, plan))


@pytest.mark.parametrize("scale", [0.5, -3.0])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="equals-one-process", core=True, since="1.1")
def test_equals_one_process(harness: Harness, ranks: Ranks, one_process: OneProcess, place: str, scale: float) -> None:
    """what every rank receives and computes is what one process does that has the same weights.

    That one is steered by the reference implementation. Within rounding, and four times what the unsteered model
    differs by: sums over ranks are taken in another order.
    """
    for layer in harness.plans.layers(place):
        _as_one(harness, ranks, one_process, harness.plans.plan([layer], scale))


@pytest.mark.steering_requirement(
    id="layers-equal-one-process", needs=("MULTI_LAYER", "PER_LAYER_VECTORS"), since="1.1"
)
def test_layers_equal_one_process(harness: Harness, ranks: Ranks, one_process: OneProcess) -> None:
    """default layers that are steered together, each by a vector of its own, are steered as in one process."""
    _as_one(harness, ranks, one_process, harness.plans.plan(harness.architecture.steering_layers))


@pytest.mark.parametrize("positions", [Positions.ALL, Positions.LAST], ids=str)
@pytest.mark.steering_requirement(id="ranks-generate-alike", needs=("GENERATE",), core=True, since="1.1")
def test_ranks_generate_alike(harness: Harness, ranks: Ranks, positions: Positions) -> None:
    """every rank generates the same tokens, from the same steered residual stream in every pass, to the last bit."""
    harness.need_positions(positions)
    plan = _middle(harness, positions)
    steered, plain = _generated(harness, ranks, plan)
    beside.same(ranks, harness, plan, steered, plain)


@pytest.mark.steering_requirement(id="generates-as-one-process", needs=("GENERATE",), since="1.1")
def test_generates_as_one_process(harness: Harness, ranks: Ranks, one_process: OneProcess) -> None:
    """in every pass of generate each rank receives what one process does that chooses the same tokens."""
    plan, inputs = _middle(harness), harness.prompts.batch()
    steered, plain = _generated(harness, ranks, plan)
    expected = one_process.run(lambda one: beside.replayed(one, plan, inputs, steered.result))
    if len(steered.received) != len(expected.received):
        raise Violation(
            f"{len(steered.received)} passes, and {len(expected.received)} in one process", where=named(plan)
        )
    beside.as_one_process(ranks, one_process, plan, steered, plain, expected)


@pytest.mark.steering_requirement(id="ranks-left-alone", core=True, since="1.1")
def test_ranks_left_alone(harness: Harness, ranks: Ranks) -> None:
    """after the block every rank computes what it did before, to the last bit."""
    harness.unsteered.need_repeatable()
    plan, inputs = _middle(harness), harness.prompts.batch()
    before = harness.unsteered.run(inputs).result
    harness.steered(plan, inputs)
    after = harness.unsteered.run_again(inputs).result
    for rank, (mine, theirs) in enumerate(ranks.exchange((before, after))):
        comparison.identical(theirs, mine, f"the logits of rank {rank} after the block", where=named(plan), likely=LEFT)


def _as_one(harness: Harness, ranks: Ranks, one_process: OneProcess, plan: SteeringPlan) -> None:
    steered, plain = _steered(harness, plan), _plain(harness, plan)
    inputs, layers = harness.prompts.batch(), sorted(plan.vectors)
    expected = one_process.run(lambda one: Run.of(one.expected(plan, inputs), layers))
    beside.as_one_process(ranks, one_process, plan, steered, plain, expected)


def _generated(harness: Harness, ranks: Ranks, plan: SteeringPlan) -> tuple[Run, Run]:
    """A steered generation, and an unsteered one that chooses the tokens that rank 0 chose."""
    inputs, layers = harness.prompts.batch(), sorted(plan.vectors)
    if harness.unsteered.cannot_replay:
        not_applicable(harness.unsteered.cannot_replay)
    steered = Run.of(harness.generated(plan, inputs), layers)
    chosen = ranks.exchange(steered.result)[0]
    return steered, Run.of(harness.unsteered.replay(chosen, inputs, layers), layers)


def _steered(harness: Harness, plan: SteeringPlan) -> Run:
    return Run.of(harness.steered(plan, harness.prompts.batch()), sorted(plan.vectors))


def _plain(harness: Harness, plan: SteeringPlan) -> Run:
    return Run.of(harness.unsteered.run(harness.prompts.batch()), sorted(plan.vectors))


def _middle(harness: Harness, positions: Positions = Positions.ALL) -> SteeringPlan:
    return harness.plans.plan(harness.plans.layers("middle")[:1], positions=positions)
