"""What ``-m`` selects of the suite, and that a selection which can select nothing is refused."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import MODEL, Desk, ids, refused
from pytest_steering.suite.catalogue import Asked, Requirement, catalogue


def functions(desk: Desk, expression: str) -> set[str]:
    return {nodeid.partition("[")[0] for nodeid in ids(desk.run(MODEL, "--co", "-q", "-m", expression))}


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        ("steering_requirement(group='positions')", lambda each: each.group == "positions"),
        ("not steering_requirement(group='positions')", lambda each: each.group != "positions"),
        ("steering_requirement(since='1.0')", lambda each: each.since == "1.0"),
        ("not steering_requirement(since='1.0')", lambda each: each.since != "1.0"),
        ('steering_requirement(since="1.1", core=True)', lambda each: each.since == "1.1" and each.core),
        ("steering_requirement(core=False)", lambda each: not each.core),
        ("steering_requirement(id='any-scale', group='numerics')", lambda each: each.id == "any-scale"),
        ("steering_requirement and not steering_requirement(id='any-scale')", lambda each: each.id != "any-scale"),
    ],
)
def test_what_is_selected(desk: Desk, expression: str, meant: object) -> None:
    assert callable(meant)
    listed: list[Requirement] = [each for each in Asked().requirements.values() if meant(each)]
    assert 0 < len(listed) < len(catalogue())
    assert functions(desk, expression) == {each.nodeid for each in listed}


@pytest.mark.parametrize("negated", ["", "not "])
@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        (
            "steering_requirement(grp='positions')",
            "steering_requirement selects by id, group, since and core, not by 'grp'",
        ),
        (
            "steering_requirement(needs='beams')",
            "steering_requirement selects by id, group, since and core, not by 'needs'",
        ),
        ("steering_requirement(group='position')", "there is no group 'position'; did you mean 'positions'?"),
        ("steering_requirement(since='1.7')", "there is no version '1.7'; did you mean '1.1'?"),
        ("steering_requirement(since=1)", "there is no version '1'"),
        ("steering_requirement(core='True')", "core is True or False, without quotes, and not 'True'"),
        (
            "steering_requirment(id='any-scale')",
            "there is no marker steering_requirment; did you mean 'steering_requirement'?",
        ),
        ("steering_models", "there is no marker steering_models; did you mean 'steering_model'?"),
    ],
)
def test_what_can_select_nothing_is_refused(desk: Desk, negated: str, expression: str, sentence: str) -> None:
    refused(desk, MODEL, "-m", negated + expression, sentence=f"-m: {sentence}*")


def test_markers_of_the_projects_own_are_let_through(desk: Desk) -> None:
    desk.ini("markers =", "  steering_mine(x): of mine", "  other: too")
    desk.write(
        test_mine="""
import pytest
@pytest.mark.steering_mine
def test_one(): pass
@pytest.mark.steering_model("my_models:a", min_layers=2)
def test_two(): pass
"""
    )
    assert ids(desk.run("--co", "-q", "-m", "steering_mine")) == ["test_mine.py::test_one"]
    assert ids(desk.run("--co", "-q", "-m", "steering_model(min_layers=2)")) == ["test_mine.py::test_two[my_models:a]"]
