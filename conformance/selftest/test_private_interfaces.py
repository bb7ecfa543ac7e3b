"""The list of private interfaces is whole, and what it lists is there."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from conformance.selftest.private_interfaces import PRIVATE, Private, owner_of, used

DISTRIBUTIONS = {"xdist": "pytest-xdist"}


@pytest.mark.parametrize("private", PRIVATE, ids=str)
def test_it_is_there(private: Private, request: pytest.FixtureRequest) -> None:
    library = f"{private.library} {version(DISTRIBUTIONS.get(private.library, private.library))}"
    try:
        getattr(owner_of(private, request.node), private.name)
    except (ImportError, AttributeError):
        pytest.fail(
            f"{library} has no {private} any more, which {', '.join(private.where)} uses: {private.purpose}",
            pytrace=False,
        )


def test_what_is_used_is_listed_and_what_is_listed_is_used() -> None:
    listed = {private.name: set(private.where) for private in PRIVATE}
    assert len(listed) == len(PRIVATE)
    assert used() == listed
