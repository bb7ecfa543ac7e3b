"""Sessions: a person at work, drawn step by step by Hypothesis, judged as a whole, and shrunk where one fails."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pytest_steering.errors import Violation
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.covering import choices
from pytest_steering.scenarios.judging import judge
from pytest_steering.scenarios.plans import PlanOf
from pytest_steering.scenarios.program import program
from pytest_steering.scenarios.prompts import Prompt, Unfit
from pytest_steering.scenarios.steps import Call, Enter, Fail, Leave, Make, Session, Step

MOST_OPEN = 3
"""Blocks that are open at once."""


class Worker(RuleBasedStateMachine):
    """The steps of one session; judged when they end."""

    judged = 0

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.open: list[int] = []
        self.entered = 0

    def teardown(self) -> None:
        """The session ends: every block is left, the model itself is asked, and everything is compared."""
        self.steps += [*map(Leave, reversed(self.open)), Call()]
        self.run(tuple(self.steps))

    def run(self, session: Session) -> None:
        """The session is judged."""
        raise NotImplementedError


def worker(harness: Harness) -> type[Worker]:
    """A machine whose sessions hold what this model and this adapter can do."""
    can = choices(harness.can)
    prompts = st.builds(Prompt, **_each(can, "rows", "tokens", "padding", "mask", "ids"), seed=st.integers(0, 3))
    plans = st.builds(PlanOf, **_each(can, "positions", "layers", "vectors", "scale", "only"), seed=st.integers(0, 3))
    calls = st.builds(
        Call, prompts, **_each(can, "run", "decoding", "options", "arguments", "memory", "state", "thread")
    )
    most = MOST_OPEN if harness.can("NESTING") else 1

    class OfHarness(Worker):
        """One session."""

        @initialize(made=_each(can, "made")["made"], plan=plans)
        def begin(self, made: str, plan: PlanOf) -> None:
            """An adapter is there, and a block is entered."""
            if made != can["made"][0]:
                self.steps.append(Make(made))
            self._enter(plan)

        @precondition(lambda self: len(self.open) < most)
        @rule(plan=plans)
        def enter(self, plan: PlanOf) -> None:
            """A block is entered."""
            self._enter(plan)

        def _enter(self, plan: PlanOf) -> None:
            self.steps.append(Enter(self.entered, plan))
            self.open.append(self.entered)
            self.entered += 1

        @precondition(lambda self: self.open)
        @rule(number=st.integers(0, MOST_OPEN - 1), by=st.sampled_from(can["ends"]))
        def leave(self, number: int, by: str) -> None:
            """A block is left, whichever it is."""
            self.steps.append(Leave(self.open.pop(number % len(self.open)), by))

        @rule(call=calls)
        def call(self, call: Call) -> None:
            """The innermost block is called, or the model itself."""
            self.steps.append(call)

        @precondition(lambda self: self.open)
        @rule(generates=st.booleans())
        def fail(self, generates: bool) -> None:
            """A call breaks off in the middle."""
            run = "generate" if generates and harness.can("GENERATE") else "forward"
            self.steps.append(Fail(Call(Prompt(), run)))

        def run(self, session: Session) -> None:
            """The session is steered as its plans say."""
            try:
                judge(harness, session)
                OfHarness.judged += 1
            except Unfit:
                return
            except Violation as violation:
                harness.restore()
                violation.program = partial(program, session, harness.target.spec)
                raise

    return OfHarness


def _each(can: dict[str, tuple[str, ...]], *names: str) -> dict[str, Any]:
    """A strategy for each of these dimensions: every other time the plainest value, to which Hypothesis shrinks."""
    return {name: st.sampled_from((can[name][0],) * (len(can[name]) - 1) + can[name]) for name in names}
