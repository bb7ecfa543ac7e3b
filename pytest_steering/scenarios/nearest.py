"""Cause by least difference: the smallest scenario that fails, and the nearest ones that pass."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial

from pytest_steering.errors import Violation
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.causes import PATTERNS, Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.blocks import session_of
from pytest_steering.scenarios.judging import judge
from pytest_steering.scenarios.program import program
from pytest_steering.scenarios.prompts import Unfit
from pytest_steering.scenarios.scenes import Used, count, most_telling
from pytest_steering.scenarios.space import Scenario
from pytest_steering.scenarios.steps import Enter, Leave, Prepare, Session
from pytest_steering.scenarios.table import DIMENSIONS
from pytest_steering.targets.memory import give_back

ONCE = "of a large model each value of a use is judged once, not with every other"
"""What the report notes."""
LONGEST = 20
"""Steps of a session that is made shorter step by step."""


def check(harness: Harness, scenarios: Iterable[Scenario], *, all_of_them: bool = False) -> list[Scenario]:
    """Every scenario is steered exactly as it says; returns those that were judged.

    A large model is judged once on each value that is among them, unless ``all_of_them`` are asked. A failure is that
    of the smallest scenario which still fails, and says what it differs in from those that pass. Where the model can do
    none of them, not applicable.
    """
    judged: list[Scenario] = []
    todo = [scenario for scenario in scenarios if all(map(harness.can, scenario.needs))]
    every, used = all_of_them or harness.target.small, Used()
    why = ""
    while todo:
        at = 0 if every else most_telling(todo, used)
        if at is None:
            if ONCE not in harness.target.notes:
                harness.target.notes.append(ONCE)
            break
        scenario = todo.pop(at)
        try:
            judge(harness, session_of(scenario))
        except Unfit as error:
            why = why or str(error)
            continue
        except Violation as violation:
            harness.restore()
            raise smallest(harness, scenario, violation) from None
        judged.append(scenario)
        count(scenario, used)
    if harness.neighbour:
        # A whole model, which few requirements need.
        harness.neighbour = None
        give_back()
    if not judged:
        not_applicable(why or f"{harness.adapter.name} declares none of what this needs")
    return judged


def smallest(harness: Harness, scenario: Scenario, violation: Violation) -> Violation:
    """The violation of the smallest scenario that fails: each of its values is needed for that."""
    shrunk = True
    while shrunk:
        shrunk = False
        for name, _ in reversed(scenario.values):
            found = _fails(harness, session_of(scenario.plain(name)))
            if found is not None:
                scenario, violation, shrunk = scenario.plain(name), found, True
                break
    said = difference(scenario)
    session, violation = _shortest(harness, session_of(scenario), violation)
    violation.program = partial(program, session, harness.target.spec)
    violation.where = ", ".join(filter(None, (violation.where, f"with {scenario}" if scenario.values else "")))
    if said and (violation.likely is None or violation.likely.cause in PATTERNS):
        violation.likely = Diagnosis(Cause.USE, said)
    return violation


def difference(scenario: Scenario) -> str:
    """What the scenario fails with and passes without; empty for the plainest."""
    with_ = " and ".join(DIMENSIONS[name].values[value].says for name, value in scenario.told)
    without = [DIMENSIONS[name].values[DIMENSIONS[name].plainest].says for name, _ in scenario.told]
    if not without:
        return ""
    if len(without) == 1:
        return f"fails with {with_}, passes with {without[0]}"
    return f"fails with {with_} together, passes when any of these is not so"


def _shortest(harness: Harness, session: Session, violation: Violation) -> tuple[Session, Violation]:
    """The session without the steps that it fails without too, in the same way; a long one is left as it is."""
    number = len(session) if len(session) <= LONGEST else 0
    while number:
        number -= 1
        shorter = _without(session, number)
        found = _fails(harness, shorter) if shorter else None
        if found is not None and _words(found) == _words(violation):
            session, violation, number = shorter, found, min(number, len(shorter))
    return session, violation


def _words(violation: Violation) -> str:
    """What went wrong, without how far."""
    return re.sub(r"[\d.+e-]*\d", "", violation.detail)


def _without(session: Session, number: int) -> Session:
    """The session without one step, if it still is one; a block that is not entered is not left either."""
    step, rest = session[number], list(session[number + 1 :])
    if isinstance(step, Prepare):
        return ()
    if isinstance(step, Leave) and any(isinstance(later, Enter) and later.block == step.block for later in rest):
        return ()  # a block is not entered twice
    if isinstance(step, Enter):
        left = next((later for later in rest if isinstance(later, Leave) and later.block == step.block), None)
        rest = [later for later in rest if later is not left]
    return (*session[:number], *rest)


def _fails(harness: Harness, session: Session) -> Violation | None:
    try:
        judge(harness, session)
    except Unfit:
        return None
    except Violation as violation:
        harness.restore()
        return violation
    return None
