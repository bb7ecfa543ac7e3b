"""Further runs after a failure, that tell bugs apart which look alike in the numbers of one run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from torch import Tensor

from pytest_steering.architecture.residual import same_bits
from pytest_steering.errors import Violation
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.place import wrong_place
from pytest_steering.oracle.diagnosis.strength import wrong_scale, wrong_vectors
from pytest_steering.steering.plan import SteeringPlan

if TYPE_CHECKING:
    from pytest_steering.oracle.harness import Harness

Inputs = Mapping[str, Tensor]
Judge = Callable[["Harness", SteeringPlan, Inputs], object]

_OUTLIER = 4.0
"""A vector with an element of so many root mean squares is not an ordinary one."""


def explain(violation: Violation, harness: Harness, plan: SteeringPlan, inputs: Inputs, judge: Judge) -> None:
    """The violation's likely cause is the one that further runs of a forward pass point to, where they point to one.

    ``judge`` raises a violation like this one, for any harness, plan and inputs.
    """
    settle(
        violation,
        lambda: unsteered_changed(harness, inputs),
        lambda: fresh_conforms(violation, harness, lambda other: judge(other, plan, inputs)),
        lambda: wrong_place(harness, plan, inputs, violation.likely),
        lambda: wrong_vectors(harness, plan, inputs),
        lambda: wrong_outliers(harness, plan, inputs, judge),
        lambda: wrong_scale(harness, plan, inputs) if _of_scales(violation.likely) else None,
    )


_SCALES: Final = frozenset(
    {
        Cause.NEVER,
        Cause.TWICE,
        Cause.SUBTRACTED,
        Cause.SIGN,
        Cause.SCALE_IGNORED,
        Cause.SCALE_TWICE,
        Cause.NORMALISED,
        Cause.DIVIDED,
        Cause.ANOTHER_SCALE,
        Cause.UNEVEN,
        Cause.PRECISION,
    }
)
"""What the numbers of one run say of a scale that is wrong, or of none: those at other scales may say more."""

_TOKENS: Final = frozenset({Cause.PADDING, Cause.EXTRA_TOKENS, Cause.POSITIONS, Cause.SOME_ROWS})
"""What they say of tokens that are steered by a mask of another batch."""


def _of_scales(likely: Diagnosis | None) -> bool:
    return likely is None or likely.cause in _SCALES


def settle(violation: Violation, *experiments: Callable[[], Diagnosis | None]) -> None:
    """The first experiment that names a cause has the word; what goes wrong in one is no news, the violation stands."""
    for experiment in experiments:
        with contextlib.suppress(Exception, pytest.skip.Exception):
            if said := experiment():
                violation.likely = said
                return


def unsteered_changed(harness: Harness, inputs: Inputs) -> Diagnosis | None:
    """The unsteered model no longer computes what it did before it was steered."""
    before, now = harness.unsteered.run(inputs).result, harness.unsteered.run_again(inputs).result
    if same_bits(before, now) or any(harness.unsteered.floor(layer) for layer in harness.architecture.every_layer):
        return None
    return Diagnosis(Cause.LEFT, "the unsteered model computes other logits than before")


def never_arrives(harness: Harness, plan: SteeringPlan, inputs: Inputs) -> Diagnosis | None:
    """A plain forward pass with the plan's vectors is not steered either, at any token."""
    everywhere, layer = SteeringPlan(plan.vectors, plan.scale), min(plan.vectors)
    steered, plain = harness.steered(everywhere, inputs), harness.unsteered.run(inputs)
    return Diagnosis(Cause.NEVER) if same_bits(steered.received(layer), plain.received(layer)) else None


def fresh_conforms(violation: Violation, harness: Harness, again: Callable[[Harness], object]) -> Diagnosis | None:
    """An adapter that is built anew does what the old one does not: it kept something."""
    try:
        again(harness.twin(harness.model))
    except Violation:
        return None
    tokens = violation.likely is not None and violation.likely.cause in _TOKENS
    return Diagnosis(Cause.STALE_MASK if tokens else Cause.STALE, "an adapter that is built anew steers rightly")


def wrong_outliers(harness: Harness, plan: SteeringPlan, inputs: Inputs, judge: Judge) -> Diagnosis | None:
    """An ordinary vector arrives and this one does not: what becomes of one with a single large element."""
    (layer, *more) = plan.vectors
    given, ordinary = plan.vectors[layer], harness.plans.vector(layer)
    if more or float(given.abs().amax()) < _OUTLIER * float(given.double().square().mean().sqrt()):
        return None
    outlier = ordinary.clone()
    outlier[0] = 2 * _OUTLIER * ordinary.abs().amax()
    for vector in (ordinary, outlier):
        try:
            judge(harness, replace(plan, vectors={layer: vector}), inputs)
        except Violation as violation:
            return None if vector is ordinary else violation.likely
    return None
