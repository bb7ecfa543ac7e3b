"""How tests are spread over two workers, and what becomes of those of a worker that crashes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

from pytest_steering.plugin.options import SETTINGS, parsed
from pytest_steering.plugin.xdist import ModelScheduling

SPECS = ("tiny:a", "tiny:b", "tiny:c")
NODEIDS = [f"test_mine.py::test_{test}[{spec}]" for spec in SPECS for test in range(3)]


class Worker:
    """A worker that runs what it is sent."""

    def __init__(self) -> None:
        self.gateway = SimpleNamespace(id=str(id(self)))
        self.sent: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, places: list[int]) -> None:
        self.sent += places

    def shutdown(self) -> None:
        self.shutting_down = True


def distributed(specs: Sequence[str], nodeids: list[str]) -> tuple[ModelScheduling, list[Any]]:
    """The scheduling of tests on models, before it begins, with two workers that have collected them."""
    option = SimpleNamespace(tx=["popen", "popen"], maxworkerrestart=None, loadscopereorder=True)
    config: Any = SimpleNamespace(
        stash={SETTINGS: SimpleNamespace(specs=parsed(specs))},
        option=option,
        getvalue=lambda name: getattr(option, name),
        getoption=lambda name, default=None: getattr(option, name, default),
    )
    scheduling = ModelScheduling(config, Producer("test", enabled=False))
    workers: list[Any] = [Worker(), Worker()]
    for worker in workers:
        scheduling.add_node(worker)
        scheduling.add_node_collection(worker, nodeids)
    return scheduling, workers


@pytest.fixture
def scheduled() -> tuple[ModelScheduling, list[Any]]:
    """Two workers with a model each, and one more model to come."""
    scheduling, workers = distributed(SPECS, NODEIDS)
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


def test_a_sweep_is_spread_without_searching() -> None:
    specs = tuple(f"tiny:{number}" for number in range(300))
    nodeids = [f"test_mine.py::test_{test}[{spec}-hooks]" for spec in specs for test in range(200)]
    scheduling, workers = distributed(specs, nodeids)
    started = time.process_time()
    scheduling.schedule()
    for number in range(len(nodeids)):
        for worker in workers:
            if number < len(worker.sent):
                scheduling.mark_test_complete(worker, worker.sent[number])
    assert time.process_time() - started < 8, "a third of a second as a rule; 30 where each test is searched for"
    assert scheduling.tests_finished
    assert sorted(workers[0].sent + workers[1].sent) == list(range(len(nodeids)))
    models = [{nodeids[place].partition("[")[2] for place in worker.sent} for worker in workers]
    assert models[0].isdisjoint(models[1])
