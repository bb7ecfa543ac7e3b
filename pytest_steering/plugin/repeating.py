"""Whether a failure repeats when its test is run alone, and which tests must run before it otherwise.

Between two tests the model is put back to what it was, so what one leaves to the next lies in the adapter. A test that
fails is run again under an adapter that is made anew; where it passes then, with tests before it that ran before.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_steering.errors import Violation
from pytest_steering.oracle.applicability import NotApplicable
from pytest_steering.plugin.fixtures import parameters
from pytest_steering.plugin.items import Pairing
from pytest_steering.plugin.options import TIMEOUT, settings_of

if TYPE_CHECKING:
    from pytest_steering.oracle.harness import Harness

_RAN = pytest.StashKey[dict[Pairing, list[pytest.Item]]]()
_SOUGHT = pytest.StashKey[dict[Pairing, int]]()
_TAKEN = {"harness", "loaded", "steering_model", "tmp_path"}
"""What a test may ask for, beside its parameters, that it can be given again."""
_MOST = 16
"""So many tests before a failure are tried."""
_SEARCHES = 3
"""For so many failures of an adapter it is sought what must run before them."""


@dataclass(frozen=True)
class Repeats:
    """What it takes to see a failure again."""

    alone: bool
    before: tuple[str, ...] = ()
    """The node ids of the tests that must run before; empty where none must, or the whole run."""

    def nodeids(self, item: pytest.Item) -> list[str]:
        """Those of the tests to run; none where the whole run is needed."""
        return [*self.before, item.nodeid] if self.alone or self.before else []


ALONE = Repeats(alone=True)


def repeats(item: pytest.Item, pairing: Pairing, error: BaseException, seconds: float) -> Repeats:
    """How a test that has just failed, after so many seconds, is seen to fail again; ``ALONE`` also where that is not
    tried.
    """
    ran = item.config.stash.setdefault(_RAN, {}).setdefault(pairing, [])
    earlier = [each for each in ran[-_MOST:] if each is not item]
    harness: Harness | None = (getattr(item, "funcargs", None) or {}).get("harness")
    told = isinstance(error, Violation) and error.program is not None
    if settings_of(item.config).parallel:
        return ALONE  # what is tried here is decided by a clock, and each rank has its own
    if harness is None or harness.made or told or not earlier or not _repeatable(item, seconds):
        return ALONE
    if _fails(harness, item):
        return ALONE
    sought = item.config.stash.setdefault(_SOUGHT, {})
    sought[pairing] = sought.get(pairing, 0) + 1
    if sought[pairing] > _SEARCHES or not harness.target.small:
        return Repeats(alone=False)
    return Repeats(alone=False, before=tuple(each.nodeid for each in _before(harness, item, earlier)))


def has_run(item: pytest.Item, pairing: Pairing, seconds: float) -> None:
    """The test was run and took so long: what it left in the adapter is there for those after it."""
    if _repeatable(item, seconds):
        item.config.stash.setdefault(_RAN, {}).setdefault(pairing, []).append(item)


def _repeatable(item: pytest.Item, seconds: float) -> bool:
    """It can be given all that it asks for, and all that is tried together ends before the limit of a requirement."""
    asked = set(_arguments(item))
    quick = seconds < (settings_of(item.config).timeout or TIMEOUT) / 100
    return quick and "harness" in asked and asked <= _TAKEN | parameters(item).keys()


def _arguments(item: pytest.Item) -> Sequence[str]:
    function = getattr(item, "obj", None)
    return tuple(inspect.signature(function).parameters) if function is not None else ()


def _before(harness: Harness, item: pytest.Item, earlier: list[pytest.Item]) -> Sequence[pytest.Item]:
    """The fewest tests found after which it fails: one, or so many of the last; none where none is enough."""
    one = next(([each] for each in reversed(earlier) if _fails(harness, each, item)), None)
    if one is not None:
        return one
    several = 2
    while several < 2 * len(earlier):
        if _fails(harness, *earlier[-several:], item):
            return earlier[-several:]
        several *= 2
    return ()


def _fails(harness: Harness, *items: pytest.Item) -> bool:
    """Whether the last of several tests fails under one adapter that is made anew for them."""
    failed = False
    try:
        harness.restore()
        anew = harness.anew()
        for each in items:
            failed = _failed(anew, each)
    except Exception:  # an adapter that cannot be made again says nothing of what came before
        return True
    finally:
        harness.restore()
    return failed


def _failed(harness: Harness, item: pytest.Item) -> bool:
    kept: dict[str, Any] = getattr(item, "funcargs", None) or {}
    given = {**kept, **parameters(item), "harness": harness}
    try:
        item.obj(**{name: given[name] for name in _arguments(item)})  # type: ignore[attr-defined]
    except NotApplicable:
        return False
    except KeyboardInterrupt:
        raise
    except BaseException:  # judged code may raise what ends a test, or a process
        return True
    finally:
        harness.ran.clear()
        harness.restore()
    return False
