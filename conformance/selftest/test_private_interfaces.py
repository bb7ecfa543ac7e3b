"""The list of private interfaces is whole, and what it lists is there."""

from __future__ import annotations

import contextlib
from importlib.metadata import version

import pytest

from conformance.selftest.private_interfaces import PRIVATE, Private, owner_of
from conformance.selftest.private_use import used

DISTRIBUTIONS = {"xdist": "pytest-xdist"}


@pytest.mark.parametrize("private", PRIVATE, ids=str)
def test_it_is_there(private: Private, request: pytest.FixtureRequest) -> None:
    with contextlib.suppress(ImportError, AttributeError):
        getattr(owner_of(private, request.node), private.name)
        return
    library = f"{private.library} {version(DISTRIBUTIONS.get(private.library, private.library))}"
    places = ", ".join(private.where)
    pytest.fail(f"{library} has no {private} any more, used by {places}: {private.purpose}", pytrace=False)


def test_what_is_used_is_listed_and_what_is_listed_is_used() -> None:
    listed = {f"{private.name} in {place}" for private in PRIVATE for place in private.where}
    found = {f"{name} in {place}" for name, places in used().items() for place in places}
    assert found - listed == set(), "used and not in the list"
    assert listed - found == set(), "in the list and not used"


def test_no_name_is_listed_twice() -> None:
    assert len({private.name for private in PRIVATE}) == len(PRIVATE)
