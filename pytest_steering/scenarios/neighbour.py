"""Another model, steered in a thread of its own while the one under test is called: their passes begin together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch import nn

from pytest_steering.architecture.residual import logits_of
from pytest_steering.architecture.tracing import hooked
from pytest_steering.errors import SteeringError, Violation, one_line
from pytest_steering.oracle import tolerance
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.prompts import Unfit

SECONDS = 5.0
"""A pass waits no longer than this for one of the other model."""


class Neighbour:
    """A copy of the model under an adapter of its own, with what its plan makes of a prompt."""

    def __init__(self, harness: Harness) -> None:
        try:
            other = harness.target.copied()
        except Exception as error:  # sharded weights, locks and open files each have a reason of their own
            raise Unfit(f"the model cannot be copied: {one_line(error)}") from error
        try:
            self.harness = harness.twin(other)
        except SteeringError as error:
            raise Unfit(f"a copy of the model cannot be steered: {error}") from error
        self.plan = self.harness.plans.plan(self.harness.plans.layers("middle")[:1], -2.0, seed=7)
        # Other tokens are steered than in the model under test, so that a mask which both use shows.
        padded = harness.can("BATCH") and harness.can("PADDING")
        prompts = self.harness.prompts
        self.inputs = prompts.padded("left", seed=7) if padded else prompts.batch(seed=7)
        self.wanted = self.harness.expected(self.plan, self.inputs).result
        self._barrier = threading.Barrier(2)

    def meet(self, _module: nn.Module, _args: Any) -> None:
        """A pass of one model waits for a pass of the other."""
        with suppress(threading.BrokenBarrierError):
            self._barrier.wait(SECONDS)

    def run(self, begun: threading.Event, over: threading.Event, found: list[Any]) -> None:
        """The model is called again and again until it is over."""
        try:
            with (
                self.harness.steering(self.plan) as steered,
                self.harness.running(),
                hooked(self.harness.architecture.entry.register_forward_pre_hook(self.meet)),
            ):
                begun.set()
                while not over.is_set():
                    found.append(logits_of(steered(**self.inputs)).clone())
        except Exception as error:
            found.append(error)
        finally:
            begun.set()

    def reset(self) -> None:
        """The two may meet again."""
        self._barrier = threading.Barrier(2)

    def abort(self) -> None:
        """Nobody waits any longer."""
        self._barrier.abort()


@contextmanager
def beside(neighbour: Neighbour) -> Iterator[None]:
    """The other model runs in its thread inside the block, and was steered by its own plan in every call."""
    begun, over, found = threading.Event(), threading.Event(), list[Any]()
    neighbour.reset()
    thread = threading.Thread(target=neighbour.run, args=(begun, over, found))
    thread.start()
    begun.wait(SECONDS)
    try:
        yield
    finally:
        over.set()
        neighbour.abort()
        thread.join()
    for logits in found:
        if isinstance(logits, Exception):
            raise logits
        if tolerance.furthest(logits, neighbour.wanted) > tolerance.rounding(
            neighbour.wanted, dtype=neighbour.harness.dtype_of(neighbour.wanted)
        ):
            raise Violation(
                "another model, steered in another thread at the same time, is steered otherwise than alone",
                likely=Diagnosis(Cause.SHARED, "between threads"),
            )
