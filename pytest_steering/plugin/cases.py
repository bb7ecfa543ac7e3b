"""Test methods of ``unittest.TestCase``: pytest does not parametrise them, so each has one model and one adapter."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

import pytest

from pytest_steering.plugin.fixtures import ADAPTER, MODEL, asks_for_model, choose_models

ERROR = pytest.StashKey[str]()
"""Why a test method has no model."""


def is_case(cls: object) -> bool:
    """Whether this is a class of the standard library's kind of tests."""
    unittest = sys.modules.get("unittest")
    return unittest is not None and isinstance(cls, type) and issubclass(cls, unittest.TestCase)


def request_by_marker(cls: type) -> None:
    """A marked class of tests, or a marked method in one, gets a model without asking for the fixture."""
    own = [base for base in cls.__mro__ if is_case(base) and base.__module__ != "unittest.case"]
    for obj in [*own, *(value for base in own for value in vars(base).values() if isinstance(value, FunctionType))]:
        found = vars(obj).get("pytestmark", [])
        marks = found if isinstance(found, list) else [found]
        asked = any(mark.name == "usefixtures" and MODEL in mark.args for mark in marks)
        if not asked and any(mark.name == MODEL for mark in marks):
            pytest.mark.usefixtures(MODEL)(obj)


def choose_model(item: pytest.Item) -> None:
    """The method runs on the model and the adapter of a function in its place, when that is one of each."""
    if not (isinstance(item, pytest.Function) and is_case(item.cls) and asks_for_model(item)):
        return
    definition: Any = item  # all that is asked of a definition, an item has too
    made = pytest.Metafunc(definition, item._fixtureinfo, item.config, item.cls, _ispytest=True)
    choose_models(made)
    if len(made._calls) == 1:
        item.callspec = made._calls[0]
    elif made._calls:
        names = [
            " with ".join(str(call.params[name]) for name in (MODEL, ADAPTER) if name in call.params)
            for call in made._calls
        ]
        item.stash[ERROR] = (
            f"{item.nodeid} is a method of unittest.TestCase, which pytest runs once, and not on each of "
            f"{', '.join(names)}: name one of them, or derive the class from nothing"
        )


def check(item: pytest.Item) -> None:
    """A method that would run on several models or adapters fails and says what to do."""
    if ERROR in item.stash:
        pytest.fail(item.stash[ERROR], pytrace=False)
