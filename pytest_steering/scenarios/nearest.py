"""Cause by least difference: the smallest scenario that fails, and the nearest ones that pass."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_steering.errors import Violation
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.causes import PATTERNS, Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.blocks import session_of
from pytest_steering.scenarios.judging import judge
from pytest_steering.scenarios.prompts import Unfit
from pytest_steering.scenarios.space import Scenario
from pytest_steering.scenarios.table import DIMENSIONS


def check(harness: Harness, scenarios: Iterable[Scenario]) -> int:
    """Every scenario is steered exactly as it says; returns how many were judged.

    A failure is that of the smallest scenario which still fails, and says what it differs in from those that pass.
    Where the model can do none of them, not applicable.
    """
    judged, why = 0, ""
    for scenario in scenarios:
        if not all(map(harness.can, scenario.needs)):
            continue
        try:
            judge(harness, session_of(scenario))
        except Unfit as error:
            why = why or str(error)
            continue
        except Violation as violation:
            harness.restore()
            raise smallest(harness, scenario, violation) from None
        judged += 1
    if not judged:
        not_applicable(why or f"{harness.adapter.name} declares none of what this needs")
    return judged


def smallest(harness: Harness, scenario: Scenario, violation: Violation) -> Violation:
    """The violation of the smallest scenario that fails: each of its values is needed for that."""
    shrunk = True
    while shrunk:
        shrunk = False
        for name, _ in reversed(scenario.values):
            found = _fails(harness, scenario.plain(name))
            if found is not None:
                scenario, violation, shrunk = scenario.plain(name), found, True
                break
    said = difference(scenario)
    violation.where = ", ".join(filter(None, (violation.where, f"with {scenario}" if scenario.values else "")))
    if said and (violation.likely is None or violation.likely.cause in PATTERNS):
        violation.likely = Diagnosis(Cause.USE, said)
    return violation


def difference(scenario: Scenario) -> str:
    """What the scenario fails with and passes without; empty for the plainest."""
    with_ = " and ".join(value.says for value in scenario.chosen())
    without = [DIMENSIONS[name].values[DIMENSIONS[name].plainest].says for name, _ in scenario.values]
    if not without:
        return ""
    if len(without) == 1:
        return f"fails with {with_}, passes with {without[0]}"
    return f"fails with {with_} together, passes when any of these is not so"


def _fails(harness: Harness, scenario: Scenario) -> Violation | None:
    try:
        judge(harness, session_of(scenario))
    except Unfit:
        return None
    except Violation as violation:
        harness.restore()
        return violation
    return None
