"""What a test needs of its model and adapter, decided in a fixture: where pytest expects a test to be skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_steering.engines.capability import EngineCapability
from pytest_steering.errors import SpecError
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.plugin.fixtures import ADAPTER, ENGINE, MODEL, asks_for_model
from pytest_steering.steering.capability import Capability

if TYPE_CHECKING:
    from pytest_steering.targets.target import Target

NEEDS = "_steering_needs"

FACTS = {
    "weights": ("has_weights", "the model has shapes and no weights"),
    "trained": ("trained", "the weights are untrained"),
    "tokenizer": ("tokenizer", "the model comes without a tokenizer"),
}


@pytest.fixture
def _steering_needs(request: pytest.FixtureRequest) -> None:
    """The test goes on, or is reported as not applicable with the reason."""
    item = request.node
    for mark in item.iter_markers(MODEL):
        needs = mark.kwargs.get("needs", ())
        names = (needs,) if isinstance(needs, str) else needs
        reason = next(_lacking(item.funcargs, names, mark.kwargs.get("min_layers", 0)), "")
        if reason:
            not_applicable(reason)


def ask_early(items: Iterable[pytest.Item]) -> None:
    """What a test needs is asked as soon as its model and adapter are there, before anything else is set up for it.

    A hook that skips in a fixture's stead leaves finalizers behind, on which later tests fail.
    """
    for item in items:
        if asks_for_model(item) and any(mark.kwargs for mark in item.iter_markers(MODEL)):
            names: list[str] = item.fixturenames  # type: ignore[attr-defined]
            if NEEDS not in names:
                names.insert(1 + max(names.index(name) for name in (MODEL, ADAPTER, ENGINE) if name in names), NEEDS)


def _lacking(funcargs: dict[str, Any], needs: Iterable[str], min_layers: int) -> Iterator[str]:
    target: Target = funcargs[MODEL]
    for need in needs:
        name = str(need).lower()
        if name in FACTS:
            attribute, reason = FACTS[name]
            if not getattr(target, attribute):
                yield reason
        elif ENGINE in funcargs and name in set(EngineCapability):
            if EngineCapability(name) not in funcargs[ENGINE].capabilities:
                yield f"{funcargs[ENGINE].name} does not declare {name.upper()}"
        elif name not in set(Capability):
            known = ", ".join([*FACTS, *Capability])
            raise SpecError(f"the steering_model marker needs {need!r}, which is none of {known}")
        elif ADAPTER not in funcargs:
            # Nobody's promise is asked for, so that the test would run for each.
            raise SpecError(
                f"the steering_model marker needs {need!r}, which an adapter declares, and the test has none: "
                f"ask for the fixture {ADAPTER}, or leave the need out"
            )
        elif Capability(name) not in funcargs[ADAPTER].capabilities:
            yield f"{funcargs[ADAPTER].name} does not declare {name.upper()}"
    if min_layers and target.architecture.num_layers < min_layers:
        yield f"{target.spec} has {target.architecture.num_layers} decoder layers, fewer than {min_layers}"
