"""The files of ``data``: read whole and checked, written so that two of them differ line by line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pytest_steering.errors import SteeringError

DATA: Final = Path(__file__).resolve().parent / "data"
"""What was found with the pinned versions; it comes with the package."""
_WIDTH = 400
"""As long as a line may be before what it holds gets lines of its own."""


class SurveyError(SteeringError):
    """A file that is no report or no survey, or reports that do not go together."""


def read_json(path: Path) -> Any:
    """The contents of a JSON file; ``SurveyError`` with one sentence when there are none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SurveyError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise SurveyError(f"{path} is not valid JSON: {' '.join(str(error).split())}") from None


def read_document(
    path: Path, schema: int, is_whole: Callable[[dict[str, Any]], bool], otherwise: str
) -> dict[str, Any]:
    """The JSON object in a file, of this schema and whole; ``SurveyError`` says of the file what is ``otherwise``."""
    document = read_json(path)
    if not isinstance(document, dict) or document.get("schema") != schema or not is_whole(document):
        raise SurveyError(f"{path} {otherwise}")
    return document


def write_json(path: Path, document: Any) -> None:
    """The document is at ``path``; ``SurveyError`` when it cannot be written."""
    try:
        path.write_text("".join(f"{line}\n" for line in _lines(document, "")), encoding="utf-8")
    except OSError as error:
        raise SurveyError(f"{path} cannot be written: {error.strerror or error}") from None


def _lines(value: Any, indent: str) -> Iterator[str]:
    """One line where it is short; otherwise a line, or several, for each element."""
    whole = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or (len(indent) + len(whole) <= _WIDTH and indent):
        yield indent + whole
        return
    named = value if isinstance(value, dict) else None
    opens, closes = "{}" if named is not None else "[]"
    yield indent + opens
    elements = list(value if named is None else named.values())
    names = [""] * len(elements) if named is None else [f"{json.dumps(name, ensure_ascii=False)}: " for name in named]
    for number, (name, element) in enumerate(zip(names, elements, strict=True), 1):
        first, *rest = _lines(element, f"{indent} ")
        first = f"{indent} {name}{first.lstrip()}"
        *before, last = [first, *rest]
        yield from before
        yield last + "," * (number < len(elements))
    yield indent + closes


def agree_to_overwrite(path: Path, *, yes: bool) -> None:
    """What comes with the package is overwritten by one who says so: asked on a terminal, or with ``--yes``."""
    if yes:
        return
    if sys.stdin.isatty() and input(f"Overwrite {path}, which comes with the package? [y/N] ").strip().lower() == "y":
        return
    raise SurveyError(f"--write would overwrite {path}, which comes with the package; nothing is written without --yes")
