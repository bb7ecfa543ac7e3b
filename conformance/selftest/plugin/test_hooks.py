"""What the plugin's hooks do at the edges of a run: patterns, adapters that replace modules, threads, bad markers."""

from __future__ import annotations

import os

import pytest
import torch

from conformance.selftest.desk import EXACT, FOUND, MODEL, RIGHT, Desk

ONE = FOUND.partition("[")[0]


def test_a_pattern_in_a_marker_that_fits_nothing_is_an_error_of_that_file(desk: Desk) -> None:
    desk.write(test_mine="import pytest\n@pytest.mark.steering_model('tiny:xyz*')\ndef test_mine(): pass")
    result = desk.run("test_mine.py")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*steering_model marker: *tiny:xyz[*]*"])


def test_an_adapter_after_which_no_layers_are_found_is_told_apart_from_a_bad_model(desk: Desk) -> None:
    desk.write(
        wrecks="""
from my_steering import Right
from torch import nn

class Wrecks(Right):
    def __init__(self, model, architecture):
        super().__init__(model, architecture)
        model.trunk = nn.Identity()
"""
    )
    result = desk.run(MODEL, "--steering-adapter=wrecks:Wrecks", EXACT[0])
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*adapter wrecks:Wrecks replaces modules of the model when it is built, and after that no decoder layers*"]
    )


@pytest.mark.parametrize(("workers", "expected"), [("4", [2]), ("16", [1]), ("1", []), (None, [])])
def test_workers_share_the_processors(
    workers: str | None, expected: list[int], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    if workers:
        name = "PYTEST_XDIST_WORKER_COUNT"
        desk.write(
            conftest=f"import os\ndef pytest_configure(config):\n    os.environ[{name!r}] = {workers!r}\n"
            f"    config.add_cleanup(lambda: os.environ.pop({name!r}))"
        )
    desk.write(test_mine="def test_mine(steering_model): pass")
    assert desk.run(MODEL, "test_mine.py").parseoutcomes() == {"passed": 1}
    assert asked == expected


def test_a_module_that_is_marked_twice_has_one_fixture(desk: Desk) -> None:
    desk.write(
        test_mine="""
import pytest
pytestmark = [pytest.mark.steering_model("my_models:b"), pytest.mark.usefixtures("steering_model")]
def test_mine(request): assert request.getfixturevalue("steering_model").spec == "my_models:b"
"""
    )
    assert desk.run("test_mine.py").parseoutcomes() == {"passed": 1}


def test_the_head_of_a_run_lists_six_models_and_says_how_many_more_a_pattern_stands_for(desk: Desk) -> None:
    desk.write(row="from my_models import a\n" + "\n".join(f"m{number} = a" for number in range(7)))
    specs = [f"--steering-model=row:m{number}" for number in range(7)]
    listed = desk.run(*specs, RIGHT, "--co", ONE).outlines
    assert f"steering: {', '.join(f'row:m{number}' for number in range(7))} with my_steering:Right" in listed
    (head,) = (line for line in desk.run("--steering-model=tiny:*", "--co", ONE).outlines if line[:9] == "steering:")
    assert head.startswith("steering: tiny:* (")
    assert head.endswith(" models) with hooks")
    (head,) = (
        line for line in desk.run("--steering-model=tiny:gpt2*", "--co", ONE).outlines if line[:9] == "steering:"
    )
    assert "models)" not in head


def test_what_a_file_of_tests_imports_is_asked_for_no_marks(desk: Desk) -> None:
    desk.write(test_mine="from os import getpid\ndef test_mine(steering_model): assert getpid()")
    assert desk.run(MODEL, "test_mine.py").parseoutcomes() == {"passed": 1}


def test_a_marked_test_that_uses_another_fixture_gets_its_model_too(desk: Desk) -> None:
    desk.write(
        test_mine="""
import pytest

@pytest.mark.usefixtures("tmp_path")
@pytest.mark.steering_model("my_models:b")
def test_mine(): pass
"""
    )
    assert desk.run("test_mine.py").parseoutcomes() == {"passed": 1}
    assert desk.loaded() == ["b"]
