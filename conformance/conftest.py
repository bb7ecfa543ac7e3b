"""What the requirements share: the trial of one model under one adapter."""

from __future__ import annotations

import pytest

from pytest_steering.adapters import SteeringAdapter
from pytest_steering.applicability import need
from pytest_steering.target import Target
from pytest_steering.trial import Trial


@pytest.fixture(scope="session")
def trial(steering_model: Target, steering_adapter: SteeringAdapter) -> Trial:
    """The model under the adapter, with the batches, vectors and runs that requirements are judged on."""
    return Trial(steering_model, steering_adapter)


@pytest.fixture(autouse=True)
def _applicable(request: pytest.FixtureRequest) -> None:
    """A requirement that the model or the adapter has no part in is reported as not applicable."""
    marker = request.node.get_closest_marker("steering_requirement")
    if marker is not None and "trial" in request.fixturenames:
        weights = () if marker.kwargs.get("without_weights") else ("weights",)
        need(request.getfixturevalue("trial"), *weights, *marker.kwargs.get("needs", ()))
