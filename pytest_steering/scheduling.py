"""How pytest-xdist spreads the tests: all of those on one model go to one worker, which loads it once."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from pytest_steering.options import settings_of
from pytest_steering.subject import spec_in


class ModelScheduling(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
    """Scopes by model; tests on none are scoped by file."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._specs = settings_of(config).specs

    def _split_scope(self, nodeid: str) -> str:
        return spec_in(nodeid, self._specs) or nodeid.partition("::")[0]
