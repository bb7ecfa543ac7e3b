"""How an adapter is found by name, and made for one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_steering.adapters.protocol import Factory, SteeringAdapter, accumulates, version_of
from pytest_steering.errors import AdapterError
from pytest_steering.naming import Kind
from pytest_steering.steering.capability import Capability

if TYPE_CHECKING:
    from torch import nn

    from pytest_steering.architecture.model import Architecture

GROUP = "pytest_steering.adapters"

_ADAPTER = Kind("adapter", GROUP, "(model, architecture) -> adapter", Capability, AdapterError)


def find_factory(name: str, provided: Mapping[str, Factory] | None = None) -> Factory:
    """The callable that makes the adapter ``name``: provided by a hook, an entry point, or ``module:attribute``.

    Raises ``SpecError`` with one sentence when there is none or it cannot be called.
    """
    return _ADAPTER.find(name, provided)


def look_up_adapter(name: str, provided: Mapping[str, Factory] | None = None) -> None:
    """``SpecError`` for an adapter that is not there; one that is need not be importable."""
    _ADAPTER.look_up(name, provided)


def make_adapter(
    name: str, model: nn.Module, architecture: Architecture, provided: Mapping[str, Factory] | None = None
) -> SteeringAdapter:
    """The adapter ``name`` for one model; ``AdapterError`` when it cannot be built or breaks the protocol."""
    factory = find_factory(name, provided)
    adapter: SteeringAdapter = _ADAPTER.make(
        name, factory, model, architecture, methods={"steer": "steer(plan)"}, read=(version_of, accumulates)
    )
    return adapter
