"""A scenario is a point of the space, and arrays go through all of it."""

from __future__ import annotations

from itertools import product

import pytest

from pytest_steering.scenarios.blocks import session_of
from pytest_steering.scenarios.covering import INTERACTING, array, choices, pairs, pairs_in, parts
from pytest_steering.scenarios.scenes import Used, count, most_telling, scenes
from pytest_steering.scenarios.space import Scenario
from pytest_steering.scenarios.steps import Call, Enter, Leave
from pytest_steering.scenarios.table import DIMENSIONS
from pytest_steering.steering.capability import Capability


def test_a_scenario_says_only_what_is_unusual() -> None:
    plain = Scenario.of()
    assert (plain.values, str(plain)) == ((), "the plainest use")
    one = Scenario.of(padding="left", run="generate", decoding="beams", rows="two")
    assert str(one) == "left padding, beam search"
    assert str(one.plain("decoding")) == "left padding, generation"
    assert (one["padding"], one["rows"], one["memory"]) == ("left", "two", "none")
    assert one.plain("padding") == Scenario.of(run="generate", decoding="beams")
    assert one.needs == ("BATCH", "PADDING", "GENERATE", "BEAMS")


def test_a_value_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(KeyError, match="sideways"):
        Scenario.of(padding="sideways")


def test_every_need_is_a_capability() -> None:
    needs = {need for dim in DIMENSIONS.values() for value in dim.values.values() for need in value.needs}
    assert needs <= Capability.__members__.keys()


def test_the_plainest_values_need_nothing_and_no_two_values_say_the_same() -> None:
    assert Scenario.of().needs == ()
    assert all(not dim.values[dim.plainest].needs for dim in DIMENSIONS.values())
    said = [value.says for dim in DIMENSIONS.values() for value in dim.values.values()]
    assert len(set(said)) == len(said)


def test_an_array_holds_every_pair_and_every_triple_that_interacts() -> None:
    values = choices(lambda _need: True)
    scenarios = array(values)
    assert pairs_in(scenarios, values) == pairs(values) > 7000
    for names, part in zip(INTERACTING, parts(values), strict=True):
        found = {tuple(scenario[name] for name in names) for scenario in scenarios}
        assert found >= set(product(*(part[name] for name in names)))
    assert len(scenarios) < 300
    assert array(values) == scenarios


def test_what_is_not_declared_is_left_out() -> None:
    values = choices(lambda need: need not in ("GENERATE", "PADDING"))
    assert values["run"] == ("forward",)
    assert values["padding"] == ("none",)
    assert all(scenario["run"] == "forward" for scenario in array(values))


def test_scenes_are_a_slice() -> None:
    assert [str(scene) for scene in scenes("ends", but="closed elsewhere")] == ["an exception", "Ctrl-C"]
    assert [scene["run"] for scene in scenes("mask", only="boolean", run=("forward", "generate"))] == [
        "forward",
        "generate",
    ]


def test_a_session_ends_with_the_model_itself() -> None:
    session = session_of(Scenario.of(run="generate", ends="exception"))
    assert [type(step) for step in session] == [Enter, Call, Leave, Call]
    assert session[-2] == Leave(0, "exception")
    assert session[-1] == Call()


def test_few_scenarios_hold_the_most_pairs() -> None:
    values = choices(lambda _need: True)
    whole, few = array(values), array(values, 60)
    assert len(few) == 60
    assert set(few) < set(whole)
    assert pairs_in(few, values) > pairs_in(whole[:60], values)
    assert pairs_in(few, values) > 0.6 * pairs(values)


def test_of_a_large_model_each_value_is_asked_and_in_turn_with_the_others() -> None:
    asked = [
        *scenes("block", only="nested itself three crossed", run=("forward", "generate"), positions=("all", "last"))
    ]
    todo, used, judged = list(asked), Used(), []
    while (at := most_telling(todo, used)) is not None:
        scenario = todo.pop(at)
        if scenario["block"] == "three" and scenario["run"] == "forward":
            continue  # the model cannot: the value is asked otherwise
        judged.append(scenario)
        count(scenario, used)
    assert {scenario["block"] for scenario in judged} == {"nested", "itself", "three", "crossed"}
    assert len(judged) == 4 < len(asked) == 16
    assert {scenario["run"] for scenario in judged} == {"forward", "generate"}
    assert {scenario["positions"] for scenario in judged} == {"all", "last"}
