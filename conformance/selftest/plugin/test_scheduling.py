"""What becomes of the tests of a worker that crashes: all but the one that it crashed on go to another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

from conformance.selftest.plugin.test_xdist import Worker
from pytest_steering.plugin.options import SETTINGS, parsed
from pytest_steering.plugin.xdist import ModelScheduling

SPECS = ("tiny:a", "tiny:b", "tiny:c")
NODEIDS = [f"test_mine.py::test_{test}[{spec}]" for spec in SPECS for test in range(3)]


@pytest.fixture
def scheduled() -> tuple[ModelScheduling, list[Any]]:
    """Two workers with a model each, and one more model to come."""
    option = SimpleNamespace(tx=["popen", "popen"], maxworkerrestart=None, loadscopereorder=True)
    config: Any = SimpleNamespace(
        stash={SETTINGS: SimpleNamespace(specs=parsed(SPECS))},
        option=option,
        getvalue=lambda name: getattr(option, name),
        getoption=lambda name, default=None: getattr(option, name, default),
    )
    scheduling = ModelScheduling(config, Producer("test", enabled=False))
    workers: list[Any] = [Worker(), Worker()]
    for worker in workers:
        scheduling.add_node(worker)
        scheduling.add_node_collection(worker, NODEIDS)
    scheduling.schedule()
    return scheduling, workers


def test_all_but_the_test_that_crashed_are_run_by_another(scheduled: tuple[ModelScheduling, list[Any]]) -> None:
    scheduling, (first, second) = scheduled
    assert (first.sent, second.sent) == ([0, 1, 2], [3, 4, 5])
    scheduling.mark_test_complete(first, 0)
    assert scheduling.remove_node(first) == NODEIDS[1]
    for place in second.sent:  # more are sent as these are done
        scheduling.mark_test_complete(second, place)
    assert sorted(second.sent) == [2, 3, 4, 5, 6, 7, 8]


def test_a_worker_that_is_done_leaves_nothing_undone(scheduled: tuple[ModelScheduling, list[Any]]) -> None:
    scheduling, (first, _) = scheduled
    for place in first.sent:
        scheduling.mark_test_complete(first, place)
    assert scheduling.remove_node(first) is None
