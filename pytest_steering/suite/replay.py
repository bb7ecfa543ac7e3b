"""A use of a steered model, written down step by step as a person would, and judged like those of the suite."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any, TypeVar

from pytest_steering.adapters.registry import make_adapter
from pytest_steering.errors import SpecError, Violation
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.changing import CHANGES
from pytest_steering.scenarios.judging import judge
from pytest_steering.scenarios.plans import PlanOf
from pytest_steering.scenarios.prompts import Prompt, Unfit
from pytest_steering.scenarios.steps import (
    Call,
    CallAfter,
    Change,
    Collect,
    Enter,
    Fail,
    Leave,
    Make,
    Prepare,
    Refuse,
    Rewrite,
    Step,
)
from pytest_steering.scenarios.table import DIMENSIONS
from pytest_steering.targets.target import load_target

T = TypeVar("T")


class Replay:
    """A session under one adapter: each method is a step, and :meth:`judge` plays them.

    ``model`` and ``adapter`` are named as for ``--steering-model`` and ``--steering-adapter``. The arguments of a step
    are values of the table of uses; what is left out is plain.
    """

    def __init__(
        self,
        model: str,
        adapter: str = "hooks",
        **loading: Any,
    ) -> None:
        """``loading`` are the options of :func:`~pytest_steering.load_target`, and its sentences are raised for a
        model that cannot be loaded."""
        target = load_target(model, **loading)
        build = partial(make_adapter, adapter)
        self._harness = Harness(target, build(target.model, target.architecture), build)
        self._steps: list[Step] = []
        self._blocks = 0

    def make(self, how: str) -> None:
        """The adapter is made, or the model changed since: a value of ``made``."""
        self._steps.append(Make(_of("made", how)))

    def change(self, what: str) -> None:
        """The caller changes the model, inside a block or outside."""
        if what not in CHANGES:
            raise SpecError(f"there is no change {what!r}: known are {', '.join(CHANGES)}")
        self._steps.append(Change(what))

    def prepare(self, **plan: Any) -> int:
        """``adapter.steer(plan)`` is called and not entered yet; the number is that of its block."""
        self._steps.append(Prepare(self._next(), _step(PlanOf, plan)))
        return self._blocks

    def enter(self, block: int = 0, **plan: Any) -> int:
        """``adapter.steer(plan)`` is entered, or the ``block`` that was prepared; the number is that of the block."""
        prepared = [step for step in self._steps if isinstance(step, Prepare) and step.block == block]
        if prepared:
            self._steps.append(Enter(block, prepared[-1].plan))
            return block
        self._steps.append(Enter(self._next(), _step(PlanOf, plan)))
        return self._blocks

    def leave(self, block: int, by: str = "end") -> None:
        """The block is left, at its end or by something raised inside: a value of ``ends``."""
        self._steps.append(Leave(block, _of("ends", by)))

    def call(self, **how: Any) -> None:
        """What the innermost block yielded is called, or the model itself where none is open."""
        self._steps.append(_call(how))

    def fail(self, **how: Any) -> None:
        """The same, and the model breaks off in the middle."""
        self._steps.append(Fail(_call(how)))

    def call_after(self, block: int) -> None:
        """What the block had yielded is called when the block is left; what that does is not looked at."""
        self._steps.append(CallAfter(block))

    def rewrite(self, plan: dict[str, Any], new: dict[str, Any]) -> None:
        """The vectors of a plan whose block was left become those of a new one, in the same memory."""
        self._steps.append(Rewrite(_step(PlanOf, plan), _step(PlanOf, new)))

    def refuse(self) -> None:
        """A plan whose vector is too long is tried."""
        self._steps.append(Refuse())

    def collect(self) -> None:
        """Garbage is collected."""
        self._steps.append(Collect())

    def judge(self) -> None:
        """Everything is steered as it should be, or ``Violation``; ``SpecError`` where the model cannot do it."""
        try:
            judge(self._harness, tuple(self._steps))
        except Unfit as error:
            raise SpecError(f"{self._harness.target.spec} cannot be used in this way: {error}") from None
        except Violation as violation:
            self._harness.restore()
            raise violation from None

    def _next(self) -> int:
        self._blocks += 1
        return self._blocks


def _call(how: dict[str, Any]) -> Call:
    names = {each.name for each in fields(Prompt)}
    prompt = {name: how.pop(name) for name in list(how) if name in names}
    return _step(Call, {"prompt": _step(Prompt, prompt), **how})


def _step(kind: type[T], values: dict[str, Any]) -> T:
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in known:
            raise SpecError(f"there is no {name!r} in {kind.__name__}: known are {', '.join(known)}")
        if name in DIMENSIONS:
            _of(name, value)
    return kind(**values)


def _of(dimension: str, value: str) -> str:
    values = DIMENSIONS[dimension].values
    if value not in values:
        raise SpecError(f"there is no {value!r} in {dimension}: known are {', '.join(values)}")
    return value
