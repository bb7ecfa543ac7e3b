"""A run asks the whole suite, its core alone, or what an earlier version of it asked."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import MODEL, RIGHT, Desk
from pytest_steering.suite.catalogue import Asked, Requirement

SOME = ("-k", "exact_delta or chunked_prefill or every_ending or masks")
"""Two requirements of the core, and two of 1.0 and 1.1 that are not."""


def asked(desk: Desk, *args: str) -> set[str]:
    """The requirements that a run judged."""
    desk.run(MODEL, RIGHT, *SOME, "--steering-report=r.json", *args)
    return {each["id"] for model in desk.report("r.json")["models"] for each in model["requirements"]}


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), {"exact-delta", "chunked-prefill", "every-ending", "masks"}),
        (("--steering-profile=core",), {"exact-delta", "every-ending"}),
        (("--steering-suite=1.0",), {"exact-delta", "chunked-prefill"}),
        (("--steering-suite=1.0", "--steering-profile=core"), {"exact-delta"}),
        (("--steering-profile=core", "-n1"), {"exact-delta", "every-ending"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_asked_does_not_run(desk: Desk, args: tuple[str, ...], expected: set[str]) -> None:
    assert asked(desk, *args) == expected


def test_the_project_says_what_is_asked_and_the_command_line_overrules_it(desk: Desk) -> None:
    desk.ini("steering_profile = core", "steering_suite = 1.0")
    assert asked(desk) == {"exact-delta"}
    assert asked(desk, "--steering-suite=1.1") == {"exact-delta", "every-ending"}


def test_the_verdict_says_what_was_asked(desk: Desk) -> None:
    result = desk.run(MODEL, RIGHT, "--steering-profile=core", "--steering-report=r.json", "-k", "not layers_found")
    count = len(Asked(profile="core").requirements)
    result.stdout.fnmatch_lines([f"*conforms to 1.1 core as far as it ran, 1 of {count} requirements left out (*"])
    assert (desk.report("r.json")["suite"], desk.report("r.json")["profile"]) == ("1.1", "core")
    result = desk.run(MODEL, RIGHT, "--steering-profile=core")
    assert result.ret == 0
    said = "my_models:a with Right: conforms to 1.1 core, nothing of padding, generate could be judged (*"
    result.stdout.fnmatch_lines([said])


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("steering_suite = 0.9", "--steering-suite: there is no version '0.9': known are 1.0, 1.1"),
        ("steering_profile = all", "--steering-profile: there is no profile 'all': known are full, core"),
    ],
)
def test_what_there_is_not_is_refused(desk: Desk, setting: str, sentence: str) -> None:
    desk.ini(setting)
    result = desk.run(MODEL, RIGHT)
    assert result.ret == 4
    assert f"ERROR: {sentence}" in [*result.outlines, *result.errlines]


def test_a_requirement_of_the_projects_own_is_always_asked() -> None:
    mine = Requirement("mine", "mine", "it is", (), "", "test_mine.py::test_mine")
    assert Asked("1.0", "core").asks(mine)


def test_every_group_but_the_costly_ones_has_a_core() -> None:
    groups = {each.group for each in Asked().requirements.values()}
    core = {each.group for each in Asked(profile="core").requirements.values()}
    assert groups - core == {"hot-path", "cost"}
