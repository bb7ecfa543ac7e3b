"""The frames of judged code in a failure, for one who asks by ``-v`` or ``--tb``: those of the suite are left out."""

from __future__ import annotations

import linecache
import os
import re
import reprlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from pytest_steering.suite.catalogue import fixtures_directory, suite_directory

_STYLES = ("long", "short", "native")
_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = re.compile(r"[/\\](torch|transformers|_pytest|pluggy|hypothesis)[/\\]|[/\\]contextlib\.py$|^<")

_shorten = reprlib.Repr()
_shorten.maxother = _shorten.maxstring = 120


def frames_text(config: pytest.Config, error: BaseException) -> str:
    """The lines to show under the text of a failure; empty where nobody asks, or no judged code is on the way to it."""
    option = config.option
    if option.tbstyle not in _STYLES and (option.tbstyle != "auto" or config.get_verbosity() < 1):
        return ""
    lines = [line for each in _chain(error) for line in _frames(config, each, with_locals=option.showlocals)]
    return "\n".join(lines)


def _chain(error: BaseException) -> list[BaseException]:
    """The errors that led to one another, the first of them first."""
    found: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in found:
        found.append(following)
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return found[::-1]


def _frames(config: pytest.Config, error: BaseException, *, with_locals: bool) -> Iterator[str]:
    judged = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_judged(frame)]
    here = str(config.invocation_params.dir)
    for frame, line in judged:
        path = frame.f_code.co_filename
        shown = os.path.relpath(path, here) if path.startswith(here) else path
        yield f"  {shown}:{line}: in {frame.f_code.co_name}"
        yield f"      {linecache.getline(path, line).strip()}"
        if with_locals:
            for name, value in frame.f_locals.items():
                yield f"      {name} = {' '.join(_shorten.repr(value).split())}"
    if judged:
        yield f"E     {' '.join(''.join(traceback.format_exception_only(error)).split())}"


def _is_judged(frame: FrameType) -> bool:
    """Whether a frame is neither a library's nor the suite's; the bundled adapters are judged like any other."""
    path = Path(frame.f_code.co_filename)
    if _LIBRARIES.search(str(path)):
        return False
    if path.is_relative_to(fixtures_directory()) or path.is_relative_to(_PACKAGE / "adapters"):
        return True
    return not (path.is_relative_to(_PACKAGE) or path.is_relative_to(suite_directory()))
