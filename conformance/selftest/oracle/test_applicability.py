"""A requirement that has no meaning here ends as not applicable, with the reason."""

from __future__ import annotations

import pytest

from pytest_steering.oracle.applicability import need_package, not_applicable


def test_the_reason_is_told() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"^not applicable: the weights are untrained$"):
        not_applicable("the weights are untrained")


def test_a_package_that_is_there_ends_nothing() -> None:
    try:
        need_package("torch", "study")
    except pytest.skip.Exception as skipped:  # it would make this test a skipped one
        pytest.fail(str(skipped))


def test_a_package_that_is_not_there_is_named_with_how_to_get_it() -> None:
    with pytest.raises(
        pytest.skip.Exception,
        match=r"^not applicable: no_such_package is not installed: pip install 'pytest-steering\[study\]'$",
    ):
        need_package("no_such_package", "study")
