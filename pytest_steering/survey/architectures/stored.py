"""The file that keeps what a sweep found: read whole and checked, written so that it differs line by line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pytest_steering.errors import SteeringError

SCHEMA: Final = 1
STORED: Final = Path(__file__).resolve().parents[1] / "data" / "architectures.json"
"""What was found with the pinned versions; it comes with the package."""

Entry = dict[str, Any]
"""One model type: its ``spec``, what was found in it, and the ``verdicts`` by adapter."""
Survey = dict[str, Any]
"""``schema``, ``versions``, ``suite`` and the entries, ``types``."""

_ENTRY: Final = frozenset(
    {
        "spec",
        "type",
        "task",
        "built",
        "class",
        "layers_path",
        "num_layers",
        "output_kind",
        "anatomy",
        "notes",
        "verdicts",
        "error",
    }
)


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


def read_survey(path: Path = STORED) -> Survey:
    """What a sweep found, from the file that keeps it."""
    document = read_json(path)
    if not (isinstance(document, dict) and document.get("schema") == SCHEMA and _is_whole(document)):
        raise SurveyError(f"{path} is no survey of architectures of schema {SCHEMA}")
    return document


def write_survey(survey: Survey, path: Path = STORED) -> None:
    """The survey is at ``path``: a line per model type and one per adapter, in a fixed order."""
    path.write_text("".join(f"{line}\n" for line in _lines(survey)), encoding="utf-8")


def _is_whole(document: dict[str, Any]) -> bool:
    types = document.get("types")
    return (
        isinstance(document.get("versions"), dict)
        and isinstance(document.get("suite"), str)
        and isinstance(types, list)
        and all(isinstance(entry, dict) and entry.keys() >= _ENTRY for entry in types)
        and all(isinstance(entry["verdicts"], dict) for entry in types)
    )


def _lines(survey: Survey) -> Iterator[str]:
    head = {key: value for key, value in survey.items() if key != "types"}
    yield "{"
    for key, value in head.items():
        yield f" {_text(key)}: {_text(value)},"
    yield ' "types": ['
    for number, entry in enumerate(survey["types"], 1):
        facts = {key: value for key, value in entry.items() if key != "verdicts"}
        yield f'  {_text(facts)[:-1]}, "verdicts": {{'
        verdicts = [f"    {_text(adapter)}: {_text(verdict)}" for adapter, verdict in entry["verdicts"].items()]
        yield from (f"{line}," for line in verdicts[:-1])
        yield from verdicts[-1:]
        yield "  }}" + ("," if number < len(survey["types"]) else "")
    yield " ]"
    yield "}"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
