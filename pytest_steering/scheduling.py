"""How pytest-xdist spreads the tests: all of those on one model go to one worker, which loads it once."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from pytest_steering.options import settings_of
from pytest_steering.subject import spec_in


class ModelScheduling(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
    """Scopes by model; tests on none are scoped by file."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._specs = frozenset(settings_of(config).specs)

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

    def _split_scope(self, nodeid: str) -> str:
        return spec_in(nodeid, self._specs) or nodeid.partition("::")[0]
