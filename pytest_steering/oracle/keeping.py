"""What stays in memory: activations after a block, and models after their last use."""

from __future__ import annotations

import gc
import weakref
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn

from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.observation import everywhere
from pytest_steering.architecture.residual import tensors_in
from pytest_steering.architecture.tracing import hooked
from pytest_steering.errors import SteeringError, one_line
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.targets.memory import give_back


def kept_by(harness: Harness, plan: SteeringPlan | None) -> int:
    """How many tensors that decoder layers emitted in a block are alive after it, before and after they were steered;
    without a plan, after an unsteered call."""
    emitted: list[weakref.ref[Tensor]] = []

    def note(_module: nn.Module, _args: Any, output: Any) -> None:
        emitted.extend(weakref.ref(tensor) for _, tensor in tensors_in(output))

    def watch(architecture: Architecture) -> AbstractContextManager[None]:
        layers = architecture.layers
        first = (layer.register_forward_hook(note, prepend=True) for layer in layers)
        return hooked(*first, *(layer.register_forward_hook(note) for layer in layers))

    with _steering(harness, plan) as steered, harness.running(), everywhere(harness.architecture, watch):
        steered(**harness.prompts.batch())
    del steered
    gc.collect()
    return len({id(tensor) for tensor in (one() for one in emitted) if tensor is not None})


def freed(harness: Harness, plan: SteeringPlan | None) -> bool:
    """A copy of the model is gone when everything is gone that used it: an adapter that steered it, or, without a plan,
    nothing but a call."""
    try:
        model = harness.target.copied()
    except Exception as error:  # sharded weights, locks and open files each have a reason of their own
        not_applicable(f"the model cannot be copied: {one_line(error)}")
    gone = weakref.ref(model)
    if plan is None:
        with harness.running():
            model(**harness.prompts.batch())
    else:
        _steer(harness, model, plan)
    del model
    give_back()
    return gone() is None


def _steer(harness: Harness, model: nn.Module, plan: SteeringPlan) -> None:
    try:
        twin = harness.twin(model)
    except SteeringError as error:
        not_applicable(f"a copy of the model cannot be steered: {error}")
    with twin.steering(plan) as steered, twin.running():
        steered(**harness.prompts.batch())


def _steering(harness: Harness, plan: SteeringPlan | None) -> AbstractContextManager[Any]:
    return nullcontext(harness.model) if plan is None else harness.steering(plan)
