"""How an adapter is found by name, and made for one model."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, cast

from pytest_steering.adapters.protocol import Factory, SteeringAdapter, accumulates, version_of
from pytest_steering.errors import AdapterError, SpecError, one_line
from pytest_steering.importing import ImportFailed, imported
from pytest_steering.steering.capability import Capability

if TYPE_CHECKING:
    from torch import nn

    from pytest_steering.architecture.model import Architecture

GROUP = "pytest_steering.adapters"


def find_factory(name: str, provided: Mapping[str, Factory] | None = None) -> Factory:
    """The callable that makes the adapter ``name``: provided by a hook, an entry point, or ``module:attribute``.

    Raises ``SpecError`` with one sentence when there is none or it cannot be called.
    """
    provided = provided or {}
    if name in provided:
        return _callable(name, provided[name])
    if ":" in name:
        return _imported(name)
    found = _installed(tuple(sys.path))
    if name not in found:
        known = sorted({*found, *provided})
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}, or module:attribute"
        raise SpecError(f"there is no steering adapter {name!r}: {hint}")
    try:
        factory = found[name].load()
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"steering adapter {name!r} cannot be imported ({_line(error)}): install its package, "
            f"as in pip install 'pytest-steering[{name}]'"
        ) from error
    return _callable(name, factory)


@cache
def _installed(_path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """The adapters that packages on this path have installed, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


def make_adapter(
    name: str, model: nn.Module, architecture: Architecture, provided: Mapping[str, Factory] | None = None
) -> SteeringAdapter:
    """The adapter ``name`` for one model; ``AdapterError`` when it cannot be built or breaks the protocol."""
    factory = find_factory(name, provided)
    try:
        adapter = factory(model, architecture)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also pytest.skip and pytest.exit: judged code decides nothing
        raise AdapterError(f"adapter {name} cannot be built: {type(error).__name__}: {_line(error)}") from error
    try:
        _check_contract(name, adapter)
    except (AdapterError, KeyboardInterrupt):
        raise
    except BaseException as error:  # from a property
        raise AdapterError(f"adapter {name} cannot be read: {type(error).__name__}: {_line(error)}") from error
    return adapter


def _check_contract(name: str, adapter: Any) -> None:
    """It has what the contract asks for, and whatever the suite reads of it can be read."""
    if not callable(getattr(adapter, "steer", None)):
        raise AdapterError(
            f"adapter {name} made a {type(adapter).__name__}, which has no steer(plan) method: "
            "see the contract of an adapter in the README"
        )
    for attribute in ("name", "capabilities"):
        if not hasattr(adapter, attribute):
            raise AdapterError(f"adapter {name} has no attribute {attribute!r}: the contract asks for it")
    _check_capabilities(name, adapter.capabilities)
    version_of(adapter)
    accumulates(adapter)


def _check_capabilities(name: str, declared: object) -> None:
    """A capability that is written wrong would be one that is not declared, and no requirement would be judged."""
    if isinstance(declared, str) or not isinstance(declared, Iterable):
        raise AdapterError(
            f"adapter {name}: capabilities is the {type(declared).__name__} {declared!r}: give a set, as in "
            "frozenset({Capability.BATCH})"
        )
    known = [str(capability) for capability in Capability]
    for each in declared:
        if each not in known:
            close = difflib.get_close_matches(str(each).lower().rpartition(".")[2], known, n=1)
            hint = f"did you mean Capability.{close[0].upper()}?" if close else f"known are {', '.join(known)}"
            raise AdapterError(f"adapter {name} declares {each!r}, which is no capability: {hint}")


def _imported(name: str) -> Factory:
    module_name, _, attribute = name.partition(":")
    try:
        found: Any = imported(module_name)
    except (ModuleNotFoundError, ImportFailed) as failed:
        error = failed.__cause__ or failed
        raise SpecError(
            f"steering adapter {name!r}: module {module_name!r} cannot be imported "
            f"({type(error).__name__}: {_line(error)})"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise SpecError(f"steering adapter {name!r}: module {module_name!r} has no attribute {attribute!r}")
        found = getattr(found, part)
    return _callable(name, found)


def _callable(name: str, factory: object) -> Factory:
    if not callable(factory):
        raise SpecError(
            f"steering adapter {name!r} is a {type(factory).__name__}, not a callable (model, architecture) -> adapter"
        )
    return cast(Factory, factory)


def _line(error: BaseException) -> str:
    return one_line(error, kind=False) or "no message"
