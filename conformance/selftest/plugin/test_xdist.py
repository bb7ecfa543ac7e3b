"""Under pytest-xdist each model is loaded by one worker, once."""

from __future__ import annotations

import pytest

from conformance.selftest.desk import FEW, MODEL, OF_FEW, RIGHT, TIMID, Desk
from pytest_steering.targets.spec import spec_in

NAMES = ["a", "b", "c", "d"]
MODELS = tuple(f"--steering-model=my_models:{name}" for name in NAMES)


@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "0"), ("-n", "2")], ids="".join)
def test_each_model_is_loaded_once(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.write(test_mine="def test_mine(steering_model): pass", test_plain="def test_plain(): pass")
    paths = ("conformance/test_positions.py", "conformance/test_architecture.py", "test_mine.py", "test_plain.py")
    selected = ("-k", "every_row or layers_found or test_mine or test_plain")
    result = desk.run(*MODELS, *workers, RIGHT, TIMID, *selected, *paths)
    found = result.parseoutcomes()
    assert (found["passed"], found["skipped"]) == (4 * (1 + 3 + 1) + 1, 4 * 3)
    assert desk.loaded() == NAMES
    at_work = {line.split()[2] for line in desk.logged() if line.startswith("loaded")}
    assert at_work == ({"gw0", "gw1"} if workers == ("-n", "2") else {"alone"})


def test_another_distribution_is_the_users_choice(desk: Desk) -> None:
    result = desk.run(MODEL, RIGHT, *FEW, "--dist=loadfile", "-n", "2")
    assert result.parseoutcomes() == {"passed": len(OF_FEW)}
    assert desk.loaded() == ["a", "a"]


def test_a_project_without_a_model_is_spread_as_ever(desk: Desk) -> None:
    desk.write(
        test_mine="""
import os, pathlib, time, pytest

@pytest.mark.parametrize("x", range(6))
def test_mine(x):
    time.sleep(0.3)
    pathlib.Path(os.environ["PYTEST_XDIST_WORKER"]).touch()
"""
    )
    assert desk.run("-n", "2").parseoutcomes() == {"passed": 6}
    assert sorted(path.name for path in desk.path.glob("gw*")) == ["gw0", "gw1"]


@pytest.mark.parametrize(
    ("nodeid", "spec"),
    [
        ("conformance/test_alpha.py::test_one[tiny:a]", "tiny:a"),
        ("conformance/test_alpha.py::test_one[tiny:a-0]", "tiny:a"),
        ("conformance/test_alpha.py::test_one[tiny:a-b-hooks-0]", "tiny:a-b"),
        ("conformance/test_alpha.py::test_one[tiny:ab]", ""),
        ("conformance/test_alpha.py::test_one[tiny:c@image-text-to-text-0]", ""),
        ("conformance/test_alpha.py::test_one[tiny:d@image-text-to-text-0]", "tiny:d@image-text-to-text"),
        ("test_mine.py::test_one", ""),
    ],
)
def test_an_id_tells_its_model(nodeid: str, spec: str) -> None:
    assert spec_in(nodeid, ("tiny:a", "tiny:a-b", "tiny:c", "tiny:d", "tiny:d@image-text-to-text")) == spec
