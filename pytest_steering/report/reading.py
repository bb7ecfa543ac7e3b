"""Files that somebody else wrote, or edited, or cut in half: read whole and checked, or refused in one sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from pytest_steering.errors import SpecError, one_line
from pytest_steering.report.model import Outcome

OUTCOMES = tuple(outcome.value for outcome in Outcome)


class Unfit(ValueError):
    """What is wrong with a document: the part behind the file's name."""


def read_json(path: Path, name: str) -> dict[str, Any]:
    """The JSON object in a file; ``SpecError`` names the file as ``name`` and says why there is none."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SpecError(f"{name} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{name} is not valid JSON: it is not UTF-8") from None
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise SpecError(f"{name} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        conflict = "; it holds a merge conflict" if "<<<<<<<" in text else ""
        raise SpecError(f"{name} is not valid JSON: {one_line(error, kind=False)}{conflict}") from None
    if not isinstance(document, dict):
        raise SpecError(f"{name} is not valid: it holds a {type(document).__name__}, not an object")
    return document


def words(document: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """The texts of these names, which are there and not empty; ``Unfit`` otherwise."""
    for name in names:
        value = document.get(name)
        if not isinstance(value, str) or not value or not value.isprintable():
            raise Unfit(f"{name} is {_shown(value)}, not a text of one line")
    return tuple(document[name] for name in names)


def table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object of this name; ``Unfit`` where there is none."""
    value = document.get(name)
    if not isinstance(value, dict):
        raise Unfit(f"{name} is {_shown(value)}, not an object")
    return value


def rows(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The list of objects of this name; ``Unfit`` where there is none."""
    value = document.get(name)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Unfit(f"{name} is {_shown(value)}, not a list of objects")
    return value


def only(document: Mapping[str, Any], *known: str) -> None:
    """The document has no other names than these; ``Unfit`` names one that it has."""
    for name in document:
        if name not in known:
            raise Unfit(f"{_shown(name)} is none of {', '.join(known)}")


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The same, and each value is a finite number; ``Unfit`` otherwise."""
    for name, value in values.items():
        if not is_number(value):
            raise Unfit(f"{name} is {_shown(value)}, not a number")
    return dict(values)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a finite number, of a size that can be compared with any other."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 2**63


def _shown(value: object) -> str:
    return "missing" if value is None else ascii(value)[:60]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{ascii(name)[:60]} stands in it twice")
        found[name] = value
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")
