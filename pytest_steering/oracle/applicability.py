"""How a requirement ends that has no meaning for a model with an adapter: as not applicable, with the reason."""

from __future__ import annotations

from importlib.util import find_spec
from typing import NoReturn

import pytest

PREFIX = "not applicable: "


class NotApplicable(pytest.skip.Exception):  # type: ignore[misc, name-defined]
    """The suite's own way to skip, so that nobody else's counts; pytest shows it as its own."""

    __module__ = "builtins"
    __qualname__ = "Skipped"


def not_applicable(reason: str) -> NoReturn:
    """The test ends here: the requirement has no meaning for this model with this adapter."""
    __tracebackhide__ = True
    raise NotApplicable(PREFIX + reason)


def need_package(name: str, extra: str) -> None:
    """The optional package is installed, or the requirement is not applicable and says how to get it."""
    if find_spec(name) is None:
        not_applicable(f"{name} is not installed: pip install 'pytest-steering[{extra}]'")
