"""Stand-in for ``pytest_steering.adapters.registry``: adapters that are what their names say."""

from collections.abc import Callable, Mapping
from typing import Any

from pytest_steering.errors import AdapterError, SpecError, Violation
from pytest_steering.steering.capability import Capability

Factory = Callable[[Any, Any], "SteeringAdapter"]


class SteeringAdapter:
    capabilities = frozenset(Capability)
    version = ""

    def __init__(self, name: str) -> None:
        self.name = name
        if name == "old":
            self.name, self.version = "OldAdapter", "0.3"
        if name == "timid":
            self.capabilities = frozenset()

    def steer(self, layer: int) -> None:
        if self.name in ("bad", "OldAdapter"):
            raise Violation(
                "max |Δ| 3.1e-02\nat row 1; allowed 2 ulp",
                where=f"layer {layer}",
                likely="only batch row 0 is steered",
            )
        if self.name == "unsure":
            raise Violation("max |Δ| 1")
        if self.name == "lazy":
            raise Violation("Δ = 0", where=f"layer {layer}", likely="the vector never arrives: no hook fires")
        if self.name == "raising":
            raise TypeError("'NoneType' object\nis not subscriptable")


NAMES = ("hooks", "bad", "old", "unsure", "lazy", "raising", "timid", "broken")


def find_factory(name: str, provided: Mapping[str, Factory] | None = None) -> Factory:
    if name in (provided or {}):
        return (provided or {})[name]
    if name not in NAMES:
        raise SpecError(f"there is no steering adapter {name!r}")
    return lambda model, architecture: SteeringAdapter(name)


def make_adapter(
    name: str, model: Any, architecture: Any, provided: Mapping[str, Factory] | None = None
) -> SteeringAdapter:
    if name == "broken":
        raise AdapterError("adapter broken cannot be built: KeyError: 'h'")
    return find_factory(name, provided)(model, architecture)
