"""The same steering gives the same numbers: again, in another process, in another order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import pytest
import torch

from pytest_steering.errors import Violation
from pytest_steering.oracle import checks, comparison
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.suite.fresh_process import FreshRun, digests, reported
from pytest_steering.suite.trained import Behaviour


@pytest.mark.steering_requirement(id="same-twice", core=True)
def test_same_twice(harness: Harness) -> None:
    """two steered runs of the same input are bit-equal, unless two unsteered ones are not."""
    inputs, plan = harness.prompts.batch(), harness.plans.plan(harness.plans.layers("middle")[:1])
    harness.unsteered.need_repeatable()
    first, second = (harness.steered(plan, inputs).result for _ in range(2))
    comparison.identical(
        second,
        first,
        "the logits of the second run",
        where=checks.named(plan),
        likely=Diagnosis(Cause.RUN_STATE),
    )


@pytest.mark.steering_requirement(id="same-in-fresh-process")
def test_same_in_fresh_process(harness: Harness, fresh_run: FreshRun | str) -> None:
    """a fresh process that loads the same model and steers it the same way gets bit-equal logits."""
    harness.unsteered.need_repeatable()
    there, here = reported(fresh_run), digests(harness)
    if here.unsteered != there.unsteered:
        not_applicable("the unsteered model itself computes other logits in a fresh process")
    if here.steered != there.steered:
        raise Violation(
            f"logits with digest {there.steered[:12]} in a fresh process, {here.steered[:12]} in this one",
            likely=Diagnosis(Cause.OUTSIDE),
        )


@pytest.mark.steering_requirement(id="reproducible-experiment", needs=("trained",))
def test_reproducible_experiment(
    harness: Harness, behaviour: Behaviour, fresh_run: FreshRun | str, other_fresh_run: FreshRun | str
) -> None:
    """a trained direction has the same effect in two fresh processes, to the last bit.

    Asked of models that have one of the behaviours of ``beats-random-direction``. Each process loads the model, trains
    the direction from the same pairs and asks about the same others under it.
    """
    harness.unsteered.need_repeatable()
    behaviour.need()
    one, other = reported(fresh_run), reported(other_fresh_run)
    if one.unsteered != other.unsteered:
        not_applicable("the unsteered model itself computes other logits in a fresh process")
    if one.effect != other.effect:
        nats = " and ".join(f"{float.fromhex(found.effect):+.9g}" for found in (one, other))
        raise Violation(
            f"the direction moves the answer by {nats} nats in two processes", likely=Diagnosis(Cause.OUTSIDE)
        )


@pytest.mark.steering_requirement(id="rng-untouched", core=True)
def test_rng_untouched(harness: Harness) -> None:
    """steering draws from no random state: torch's, Python's and NumPy's are as the unsteered model leaves them."""
    inputs, plan = harness.prompts.batch(), harness.plans.plan(harness.plans.layers("middle")[:1])
    states = []
    for steered in (False, True):
        with _own_random_state():
            if steered:
                harness.steered(plan, inputs)
            else:
                harness.unsteered.run_again(inputs)
            states.append(_random_states())
    before, after = states
    for name, state in after.items():
        if state != before[name]:
            raise Violation(
                f"the state of {name} changes",
                where=checks.named(plan),
                likely=Diagnosis(Cause.RANDOM, f"by {name}"),
            )


def _random_states() -> dict[str, Any]:
    states: dict[str, Any] = {
        "torch": torch.random.get_rng_state().tolist(),
        "random": random.getstate(),
        "numpy.random": [str(part) for part in numpy.random.get_state()],
    }
    if torch.cuda.is_available():
        states["torch.cuda"] = [state.tolist() for state in torch.cuda.get_rng_state_all()]
    return states


@contextmanager
def _own_random_state() -> Iterator[None]:
    """Random states that nobody sets by chance: an adapter that always sets the same seed shows."""
    python, numbers = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng(list(range(torch.cuda.device_count()))):
        torch.manual_seed(918_273_645)
        random.seed(918_273_645)
        numpy.random.seed(918_273_645)
        try:
            yield
        finally:
            random.setstate(python)
            numpy.random.set_state(numbers)


@pytest.mark.steering_requirement(id="order-independent", core=True)
def test_order_independent(harness: Harness) -> None:
    """what ran before makes no difference: other plans and other inputs, steered in between, leave no trace."""
    harness.unsteered.need_repeatable()
    batches = [harness.prompts.batch(), harness.prompts.batch(rows=1, tokens=3, seed=5)]
    plans = [harness.plans.plan([layer], scale, seed=seed) for seed, (layer, scale) in enumerate(_scales(harness))]
    runs = [(plan, number) for plan in plans for number in range(len(batches))]
    forth = [harness.steered(plan, batches[number]).result for plan, number in runs]
    back = [harness.steered(plan, batches[number]).result for plan, number in reversed(runs)][::-1]
    for (plan, number), one, other in zip(runs, forth, back, strict=True):
        comparison.identical(
            other,
            one,
            f"the logits of batch {number} in reversed order",
            where=checks.named(plan),
            likely=Diagnosis(Cause.RUN_STATE),
        )


def _scales(harness: Harness) -> list[tuple[int, float]]:
    middle, last = harness.plans.layers("middle")[0], harness.plans.layers("last")[0]
    return [(middle, 1.0), (middle, -2.0), (last, 1.0)]
