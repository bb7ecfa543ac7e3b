"""How pytest-xdist spreads the tests: all of those on one model go to one worker, which loads it once."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from pytest_steering.plugin.options import settings_of
from pytest_steering.targets.spec import spec_in


class ModelScheduling(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
    """Scopes by model; tests on none are scoped by file."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._specs = frozenset(spec.text for spec in settings_of(config).specs)
        self._places: dict[str, int] = {}

    def remove_node(self, node: WorkerController) -> str | None:
        """What a worker left undone goes to the others, without the test that it crashed on.

        The scheduler of pytest-xdist hands on that test too, to crash worker after worker.
        """
        workload = self.assigned_work.pop(node)
        undone: list[tuple[dict[str, bool], str]] = [
            (unit, nodeid) for unit in workload.values() for nodeid, done in unit.items() if not done
        ]
        if not undone:
            return None
        unit, crashed = undone[0]
        unit[crashed] = True
        self.workqueue.update({scope: unit for scope, unit in workload.items() if not all(unit.values())})
        for other in self.assigned_work:
            self._reschedule(other)
        return crashed

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """A test is done. A model that is done with is forgotten, or every later test would be counted with its."""
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]

    def _assign_work_unit(self, node: WorkerController) -> None:
        """The next model goes to a worker, with the places of its tests looked up; pytest-xdist searches for each."""
        if not self._places:
            self._places = {nodeid: place for place, nodeid in enumerate(self.collection or ())}
        scope, unit = self.workqueue.popitem(last=False)
        self.assigned_work[node][scope] = unit
        node.send_runtest_some([self._places[nodeid] for nodeid, done in unit.items() if not done])

    def _split_scope(self, nodeid: str) -> str:
        return spec_in(nodeid, self._specs) or nodeid.partition("::")[0]
