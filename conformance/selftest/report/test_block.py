"""The block of one model under one adapter, line by line."""

from __future__ import annotations

from typing import Any

from pytest_steering.report.model import Model, Outcome, Result, Row
from pytest_steering.report.terminal import block, counts
from pytest_steering.steering.capability import Capability


def row(model: Model, *outcomes: Outcome) -> Row:
    results = (
        Result(f"test_{n}", f"id-{n}", "group", "tiny:llama", "hooks", {}, each) for n, each in enumerate(outcomes)
    )
    return Row("tiny:llama", "hooks", "hooks", model, tuple(results))


def effect(nats: float, low: float | None, high: float | None) -> dict[str, Any]:
    return {"nats": nats, "low": low, "high": high}


def test_a_trained_direction_is_one_line_with_how_often_it_is_beyond_chance() -> None:
    effects = {
        "CWE-22": effect(0.5, 0.25, 0.75),
        "CWE-79": effect(-0.25, -0.5, -0.125),
        "CWE-89": effect(0.125, -0.25, 0.5),
        "CWE-190": effect(0.25, None, None),
    }
    assert list(block(row(Model(effects={"hooks": effects}), Outcome.PASSED))) == [
        "group  1 passed",
        "a trained direction moves the answer by -0.25 to +0.5 nats, beyond chance in 2 of 4 weaknesses "
        "(95% intervals in the report)",
    ]


def test_the_effects_of_another_adapter_are_not_shown() -> None:
    model = Model(effects={"folded": {"CWE-22": effect(0.5, 0.25, 0.75)}})
    assert list(block(row(model, Outcome.PASSED))) == ["group  1 passed"]


def test_up_to_eight_requirements_are_listed_by_name_whatever_their_reasons() -> None:
    names = [f"id-{number}" for number in range(8)]
    assert counts(row(Model(), *[Outcome.KNOWN] * 8)) == f"0 passed, 8 known: {', '.join(names)}"
    nine = row(Model(), *[Outcome.KNOWN] * 9)
    nine.results[0].reason = "another"
    assert counts(nine) == f"0 passed, 9 known: {', '.join([*names, 'id-8'])}"
    for result in nine.results:
        result.reason = "one for all"
    assert counts(nine) == "0 passed, 9 known: one for all"


def test_what_an_adapter_declares_is_said_unless_it_is_everything() -> None:
    def said(*declared: str) -> list[str]:
        return list(block(row(Model(declared={"hooks": list(declared)}), Outcome.PASSED)))

    of = len(Capability)
    assert said("batch", "generate")[0] == f"declares 2 of {of} capabilities: batch, generate"
    assert said()[0] == f"declares 0 of {of} capabilities: none"
    assert said(*Capability) == ["group  1 passed"]
