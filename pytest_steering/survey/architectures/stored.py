"""The file that stores what a sweep found."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pytest_steering.survey.files import DATA, read_document, write_json

SCHEMA: Final = 1
STORED: Final = DATA / "architectures.json"

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


def read_survey(path: Path = STORED) -> Survey:
    """What a sweep found, from the file that keeps it."""
    return read_document(path, SCHEMA, _is_whole, f"is no survey of architectures of schema {SCHEMA}")


def write_survey(survey: Survey, path: Path = STORED) -> None:
    """The survey is at ``path``."""
    write_json(path, survey)


def _is_whole(document: dict[str, Any]) -> bool:
    types = document.get("types")
    return (
        isinstance(document.get("versions"), dict)
        and isinstance(document.get("suite"), str)
        and isinstance(types, list)
        and all(isinstance(entry, dict) and entry.keys() >= _ENTRY for entry in types)
        and all(isinstance(entry["verdicts"], dict) for entry in types)
    )
