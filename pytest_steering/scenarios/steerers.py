"""Who steers a session: the adapter under test, or the reference implementation."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

import torch

from pytest_steering.architecture.compiled import eager
from pytest_steering.errors import one_line
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.reference import deltas_of, reference
from pytest_steering.scenarios.asking import steered_tokens
from pytest_steering.scenarios.calls import Ask
from pytest_steering.steering.plan import SteeringPlan


class Broken(Exception):
    """What a person's own code raises in the middle of a pass, or inside a block."""


RAISED: dict[str, type[BaseException]] = {
    "exception": Broken,
    "interrupt": KeyboardInterrupt,
    "closed": GeneratorExit,
}


class ByAdapter:
    """The adapter under test steers."""

    watched_inside = False

    def __init__(self, harness: Harness) -> None:
        self._harness = self._first = harness
        self._prepared: dict[int, AbstractContextManager[Any]] = {}
        self._open: dict[int, tuple[AbstractContextManager[Any], Any]] = {}
        self._yielded: dict[int, Any] = {}
        """What the blocks that were left had yielded."""

    def make(self, anew: bool) -> None:
        """An adapter of this session alone, or that of the run."""
        self._harness = self._first.anew() if anew else self._first

    def prepare(self, block: int, plan: SteeringPlan) -> None:
        """The adapter's block is made."""
        self._prepared[block] = self._harness.adapter.steer(_again(plan))

    def enter(self, block: int, plan: SteeringPlan) -> None:
        """The adapter's block is entered."""
        context = self._prepared.pop(block, None) or self._harness.steering(_again(plan))
        self._open[block] = context, context.__enter__()

    def refused(self, plan: SteeringPlan) -> str:
        """A plan that cannot be meant is refused with a ``ValueError``; returns what went wrong with that."""
        try:
            with self._harness.steering(plan):
                return "a vector of another width is accepted"
        except ValueError:
            return ""

    def leave(self, block: int, by: str) -> str:
        """The adapter's block is left; an exception goes on as it is."""
        context, self._yielded[block] = self._open.pop(block)
        if by == "end":
            context.__exit__(None, None, None)
            return ""
        if by == "elsewhere":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(context.__exit__, None, None, None).result()
            return ""
        mine = RAISED[by]("raised inside the block")
        try:
            if context.__exit__(type(mine), mine, None):
                return f"{type(mine).__name__} is swallowed"
        except BaseException as error:
            if error is not mine:
                return f"{type(mine).__name__} becomes {one_line(error)}"
        return ""

    def call_after(self, block: int) -> None:
        """What the block had yielded is called, and may raise what it likes."""
        with suppress(Exception), eager(self._harness.model):
            self._yielded[block](**self._harness.prompts.batch())

    @contextmanager
    def call(self, blocks: dict[int, SteeringPlan], ask: Ask) -> Iterator[Any]:
        """What the innermost block yielded."""
        yield next(reversed(self._open.values()))[1] if self._open else self._harness.model

    def close(self) -> None:
        """Every block is left, whatever happened."""
        for block in reversed(list(self._open)):
            try:
                self.leave(block, "end")
            except Exception:  # the session is over, and what went wrong was seen
                continue


class ByReference:
    """The reference implementation steers."""

    def __init__(self, harness: Harness, shaken: int = 0, *, inside: bool = False) -> None:
        """With ``shaken``, a seed, every vector and sum is rounded a little otherwise; with ``inside``, it is also seen
        how large the numbers are that each layer adds up itself."""
        self._harness = harness
        self.watched_inside = inside
        self._shaken = shaken

    def make(self, anew: bool) -> None:
        """There is nothing to make."""

    def prepare(self, block: int, plan: SteeringPlan) -> None:
        """There is nothing to prepare."""

    def enter(self, block: int, plan: SteeringPlan) -> None:
        """The plan counts in the calls that follow."""

    def refused(self, plan: SteeringPlan) -> str:
        """There is nobody to refuse it."""
        return ""

    def leave(self, block: int, by: str) -> str:
        """The plan counts no longer."""
        return ""

    def call_after(self, block: int) -> None:
        """There is nothing to call."""

    @contextmanager
    def call(self, blocks: dict[int, SteeringPlan], ask: Ask) -> Iterator[Any]:
        """The model, steered by every open plan."""
        shaken = torch.Generator().manual_seed(self._shaken) if self._shaken else None
        with ExitStack() as stack:
            for plan in blocks.values():
                if plan.scale:
                    where = steered_tokens(plan, ask)
                    stack.enter_context(reference(self._harness.architecture, deltas_of(plan), where, shaken))
            yield self._harness.model

    def close(self) -> None:
        """Nothing is open."""


def _again(plan: SteeringPlan) -> SteeringPlan:
    """The same plan as an object that nobody else keeps, with the same vectors."""
    return replace(plan, vectors=dict(plan.vectors))


Steerer = ByAdapter | ByReference
