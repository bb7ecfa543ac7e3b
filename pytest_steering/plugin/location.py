"""Where in the project that is tested a failure is at home: a line of the adapter."""

from __future__ import annotations

import inspect
import os
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from pytest_steering.adapters.registry import find_factory
from pytest_steering.errors import SpecError
from pytest_steering.plugin.items import pairing_of
from pytest_steering.plugin.options import settings_of
from pytest_steering.suite.catalogue import suite_directory

_PACKAGE = Path(__file__).resolve().parents[1]


def located(item: pytest.Item, error: BaseException) -> str:
    """``file:line``: the innermost line of the project in the traceback, or else where its adapter is defined.

    The file is relative to where pytest was started; empty where the project has no part in it.
    """
    here = item.config.invocation_params.dir
    return _raised(here, error.__traceback__) or _defined(here, item)


def _raised(here: Path, traceback: TracebackType | None) -> str:
    found = ""
    while traceback is not None:
        path = traceback.tb_frame.f_code.co_filename
        found = _own(here, path, traceback.tb_lineno) or found
        traceback = traceback.tb_next
    return found


def _defined(here: Path, item: pytest.Item) -> str:
    name = pairing_of(item).adapter
    if not name:
        return ""
    try:
        factory: Any = find_factory(name, settings_of(item.config).provided)
        while isinstance(factory, partial):
            factory = factory.func
        if not (inspect.isroutine(factory) or inspect.isclass(factory)):
            factory = type(factory)
        factory = inspect.unwrap(factory)
        return _own(here, inspect.getsourcefile(factory) or "", inspect.getsourcelines(factory)[1])
    except (SpecError, TypeError, OSError):
        return ""


def _own(here: Path, path: str, line: int) -> str:
    """The place, where the file is one of the project's: not the suite's, and not installed."""
    if not path or path.startswith("<"):
        return ""
    file = Path(os.path.abspath(path))
    inside = file.is_relative_to(here) and "site-packages" not in file.parts
    ours = file.is_relative_to(suite_directory()) or file.is_relative_to(_PACKAGE)
    return f"{file.relative_to(here)}:{max(1, line)}" if inside and not ours else ""
