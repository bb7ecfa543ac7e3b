"""Modules of the user's that are named on the command line."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_SAFE = "PYTHONSAFEPATH"


class ImportFailed(Exception):
    """A module that was found and raised something, whatever it was, while it was imported."""


def imported(name: str) -> ModuleType:
    """The module ``name``, installed or in the working directory.

    The working directory is the last place to look: it may be a checkpoint's, and what lies there under the name of an
    installed module must not stand in for it, now or when something is imported later. ``ImportFailed`` from what the
    module raised; a module that is not there is a ``ModuleNotFoundError``.
    """
    here = os.getcwd()
    if "" not in sys.path and here not in sys.path:
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise
    except BaseException as error:  # also SystemExit, KeyboardInterrupt, and what pytest skips and ends by
        raise ImportFailed from error


@contextmanager
def unwarned() -> Iterator[None]:
    """What libraries warn of inside, as when they are imported, is not heard: the filters of a project may make errors
    of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def path_with_here_last() -> list[str]:
    """Where modules are looked for, with the working directory last: it may be a checkpoint's, and what lies in it
    under the name of an installed module is nobody's to run."""
    here = os.path.realpath(os.getcwd())
    return sorted(sys.path, key=lambda entry: os.path.realpath(entry or here) == here)


@contextmanager
def working_directory_last() -> Iterator[None]:
    """Modules are looked for in the working directory last, here from now on and in every process started inside.

    Python itself puts it first for ``python -m`` and ``python -c``: what it has imported by now came from there.
    """
    before = os.environ.get(_SAFE)
    sys.path[:] = path_with_here_last()
    os.environ[_SAFE] = "1"
    try:
        yield
    finally:
        os.environ.pop(_SAFE)
        if before is not None:
            os.environ[_SAFE] = before
