"""The hooks that pytest-steering offers to conftest files and plugins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_steering.adapters.protocol import Factory


@pytest.hookspec
def pytest_steering_adapter(config: pytest.Config) -> Mapping[str, Factory] | None:
    """Adapters by name, to be chosen with ``--steering-adapter=NAME``."""
