"""Shared by the stand-in suite."""

from typing import Any

import pytest


@pytest.fixture(scope="session")
def harness(steering_model: Any, steering_adapter: Any) -> Any:
    return steering_adapter
