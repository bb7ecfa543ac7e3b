"""What a user names on the command line: an installed entry point, or ``module:attribute``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from pytest_steering.errors import SpecError, SteeringError, one_line
from pytest_steering.importing import ImportFailed, imported
from pytest_steering.suggesting import meant


@dataclass(frozen=True)
class Kind:
    """One kind of thing that is named."""

    word: str
    """What it is called: ``adapter``, ``engine``."""
    group: str
    """The group of entry points."""
    call: str
    """How its factory is called, as in ``(model, architecture) -> adapter``."""
    capability: type[StrEnum]
    """What one can promise."""
    error: type[SteeringError]
    """Raised where one cannot be built."""

    def find(self, name: str, provided: Mapping[str, Callable[..., Any]] | None = None) -> Callable[..., Any]:
        """The factory ``name``: provided by a hook, an entry point, or ``module:attribute``.

        Raises ``SpecError`` with one sentence when there is none or it cannot be called.
        """
        provided = provided or {}
        self.look_up(name, provided)
        if name in provided:
            return self._callable(name, provided[name])
        if ":" in name:
            return self._imported(name)
        try:
            factory = _installed(self.group, tuple(sys.path))[name].load()
        except (ImportError, AttributeError) as error:
            raise SpecError(
                f"steering {self.word} {name!r} cannot be imported ({_line(error)}): install its package, "
                f"as in pip install 'pytest-steering[{name}]'"
            ) from error
        return self._callable(name, factory)

    def look_up(self, name: str, provided: Mapping[str, Callable[..., Any]] | None = None) -> None:
        """``SpecError`` for a name that nothing stands behind, told without importing anything that is there."""
        provided = provided or {}
        found = _installed(self.group, tuple(sys.path))
        if name in provided or name in found:
            return
        if ":" in name:
            top = name.partition(":")[0].partition(".")[0]
            if top not in sys.modules and PathFinder.find_spec(top, [*sys.path, os.getcwd()]) is None:
                self._imported(name)
            return
        known = sorted({*found, *provided})
        hint = meant(name, known, repr, lead="", otherwise=f"known are {', '.join(known)}, or module:attribute")
        raise SpecError(f"there is no steering {self.word} {name!r}: {hint}")

    def make(
        self,
        name: str,
        factory: Callable[..., Any],
        *given: Any,
        methods: Mapping[str, str],
        read: Iterable[Callable[[Any], object]] = (),
    ) -> Any:
        """What the factory makes of ``given``, which keeps to the contract; ``error`` where it does not.

        ``methods`` are those that it must have, with how each is called; what ``read`` reads of it can be read.
        """
        try:
            made = factory(*given)
        except (KeyboardInterrupt, self.error):
            raise
        except BaseException as error:  # also pytest.skip and pytest.exit: judged code decides nothing
            raise self.error(f"{self.word} {name} cannot be built: {type(error).__name__}: {_line(error)}") from error
        try:
            self._check(name, made, methods)
            for of in read:
                of(made)
        except (self.error, KeyboardInterrupt):
            raise
        except BaseException as error:  # from a property
            raise self.error(f"{self.word} {name} cannot be read: {type(error).__name__}: {_line(error)}") from error
        return made

    def _check(self, name: str, made: Any, methods: Mapping[str, str]) -> None:
        """It has what the contract asks for."""
        for method, called in methods.items():
            if not callable(getattr(made, method, None)):
                raise self.error(
                    f"{self.word} {name} made a {type(made).__name__}, which has no {called} method: "
                    f"see the contract of an {self.word} in the README"
                )
        for attribute in ("name", "capabilities"):
            if not hasattr(made, attribute):
                raise self.error(f"{self.word} {name} has no attribute {attribute!r}: the contract asks for it")
        self._check_capabilities(name, made.capabilities)

    def _check_capabilities(self, name: str, declared: object) -> None:
        """A capability that is written wrong would be one that is not declared, and no requirement would be judged."""
        kind = self.capability.__name__
        if isinstance(declared, str) or not isinstance(declared, Iterable):
            example = next(iter(self.capability)).name if self.word != "adapter" else "BATCH"
            raise self.error(
                f"{self.word} {name}: capabilities is the {type(declared).__name__} {declared!r}: give a set, as in "
                f"frozenset({{{kind}.{example}}})"
            )
        known = [str(capability) for capability in self.capability]
        for each in declared:
            if each not in known:
                hint = meant(
                    str(each).lower().rpartition(".")[2],
                    known,
                    lambda name: f"{kind}.{name.upper()}",
                    lead="",
                    otherwise=f"known are {', '.join(known)}",
                )
                raise self.error(f"{self.word} {name} declares {each!r}, which is no capability: {hint}")

    def _imported(self, name: str) -> Callable[..., Any]:
        module_name, _, attribute = name.partition(":")
        try:
            found: Any = imported(module_name)
        except (ModuleNotFoundError, ImportFailed) as failed:
            error = failed.__cause__ or failed
            raise SpecError(
                f"steering {self.word} {name!r}: module {module_name!r} cannot be imported "
                f"({type(error).__name__}: {_line(error)})"
            ) from error
        for part in attribute.split("."):
            if not hasattr(found, part):
                raise SpecError(f"steering {self.word} {name!r}: module {module_name!r} has no attribute {attribute!r}")
            found = getattr(found, part)
        return self._callable(name, found)

    def _callable(self, name: str, factory: object) -> Callable[..., Any]:
        if not callable(factory):
            raise SpecError(f"steering {self.word} {name!r} is a {type(factory).__name__}, not a callable {self.call}")
        return cast(Callable[..., Any], factory)


@cache
def _installed(group: str, _path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """What packages on this path have installed in a group, by name."""
    return {point.name: point for point in entry_points(group=group)}


def _line(error: BaseException) -> str:
    return one_line(error, kind=False) or "no message"
