"""A selection by ``-m`` that can select nothing is refused: under ``not`` it would select everything, silently."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pytest

from pytest_steering.errors import SpecError
from pytest_steering.plugin.fixtures import MODEL
from pytest_steering.suggesting import meant
from pytest_steering.suite.catalogue import MARKER, SELECTED_BY, catalogue, versions

_WORD = re.compile(r"""'[^']*'|"[^"]*"|\b(steering_\w+)""")
_CALL = re.compile(rf"""\b{MARKER}\s*\(((?:'[^']*'|"[^"]*"|[^)'"])*)\)""")
_ARGUMENT = re.compile(r"""(\w+)\s*=\s*('[^']*'|"[^"]*"|[^\s,]+)""")

_VALUES: dict[str, tuple[str, Callable[[], Iterable[str]]]] = {
    "id": ("requirement", catalogue),
    "group": ("group", lambda: dict.fromkeys(each.group for each in catalogue().values())),
    "since": ("version", versions),
}
"""What a requirement is selected by, the word for it, and its values."""


def check_selection(config: pytest.Config) -> None:
    """Markers of ours, their arguments and the values of these exist; ``SpecError`` names what does not."""
    expression = config.option.markexpr or ""
    registered = [re.split(r"[:( ]", line, maxsplit=1)[0] for line in config.getini("markers")]
    for word in filter(None, _WORD.findall(expression)):
        if word not in (MARKER, MODEL, *registered):
            raise SpecError(f"-m: there is no marker {word}{meant(word, (MARKER, MODEL), repr, cutoff=0.4)}")
    for call in _CALL.finditer(expression):
        for name, value in _ARGUMENT.findall(call[1]):
            _check_argument(name, value)


def _check_argument(name: str, value: str) -> None:
    if name not in SELECTED_BY:
        raise SpecError(f"-m: {MARKER} selects by {', '.join(SELECTED_BY[:-1])} and {SELECTED_BY[-1]}, not by {name!r}")
    if name == "core":
        if value not in ("True", "False"):
            raise SpecError(f"-m: core is True or False, without quotes, and not {value}")
        return
    what, values = _VALUES[name]
    text = value[1:-1]
    if value[0] not in "'\"" or text not in values():
        found = text if value[0] in "'\"" else value
        raise SpecError(f"-m: there is no {what} {found!r}{meant(found, values(), repr, cutoff=0.4)}")
