"""The first group of the stand-in suite."""

from typing import Any

import pytest

from pytest_steering.oracle.applicability import not_applicable


@pytest.mark.steering_requirement(id="layers-found")
def test_layers_found(steering_model: Any) -> None:
    """The decoder layers are found."""
    assert steering_model.architecture.num_layers == 4
    steering_model.notes.append("one thing to note")


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.steering_requirement(id="exact-delta")
def test_exact_delta(harness: Any, layer: int) -> None:
    """The steered residual equals the unsteered one plus
    scale times the vector.

    More words.
    """
    harness.steer(layer)


@pytest.mark.steering_requirement(id="beams", needs=("BEAMS",))
def test_beams(harness: Any) -> None:
    """Every beam is steered."""
    if not harness.capabilities:
        not_applicable(f"{harness.name} does not declare BEAMS")
