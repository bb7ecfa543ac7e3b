"""Where an experiment keeps what is finished: one small file for each part, there whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_steering.evaluation.config import ExperimentError
from pytest_steering.vectors._common import whole_file

IDENTITY = "experiment.json"
RESULTS = "results.json"
_PARTS = "parts"
_SEAL = "sha256"
"""Under this name a part holds the checksum of all the rest of it."""


class Store:
    """The directory of one experiment.

    ``identity`` says what the numbers depend on. A directory with another identity is refused with what differs, so
    that no result is ever put together from two experiments.
    """

    def __init__(self, directory: Path, identity: Mapping[str, Any]) -> None:
        self.directory = directory
        wanted = json.loads(as_json(identity))
        try:
            directory.mkdir(parents=True, exist_ok=True)
            path = directory / IDENTITY
            if path.is_file():
                found = _read(path)
                _check_same(directory, found, wanted)
                wanted = found
            elif (directory / _PARTS).exists() or (directory / RESULTS).exists():
                raise ExperimentError(
                    f"{directory} holds parts of an experiment but no {IDENTITY} to tell which; "
                    "give an empty directory or a new one"
                )
            else:
                _write(path, wanted)
        except OSError as error:
            raise ExperimentError(
                f"{error.filename or directory}: results cannot be written there ({error.strerror or error}); "
                "give another output directory"
            ) from None
        self.identity: dict[str, Any] = wanted

    def has(self, name: str) -> bool:
        """Whether the part is finished."""
        return self._path(name).is_file()

    def read(self, name: str) -> dict[str, Any]:
        """A finished part."""
        return _read(self._path(name))

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """The part is finished."""
        path = self._path(name)
        _made(path.parent)
        _write(path, content)

    def finish(self, results: Mapping[str, Any]) -> Path:
        """The results are written, beside the parts that they were made from."""
        path = self.directory / RESULTS
        _write(path, results, sealed=False)
        return path

    def vectors_path(self, name: str) -> Path:
        """Where the steering vectors of a part are kept; its directory exists."""
        path = self.directory / "vectors" / f"{name.replace('/', '-')}.safetensors"
        _made(path.parent)
        return path

    def _path(self, name: str) -> Path:
        return self.directory / _PARTS / f"{name}.json"


def _made(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExperimentError(f"{directory}: it cannot be made ({error.strerror or error}); make room for it") from None


def as_json(content: Any) -> str:
    """Content as the same text every time; a float is written with all of its digits, and NaN is refused."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _write(path: Path, content: Any, *, sealed: bool = True) -> None:
    text = as_json({**content, _SEAL: _digest(content)} if sealed else content)
    try:
        with whole_file(path) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExperimentError(
            f"{path}: it cannot be written ({error.strerror or error}); what is finished is kept: make room, and run "
            "the same command again to go on"
        ) from None


def _read(path: Path) -> dict[str, Any]:
    """What was written, to the last bit: a disk or a hand that changed it is told, and no result is made of it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
        if found.pop(_SEAL, None) != _digest(found):
            raise ValueError("it is not what was written: its checksum is another")
    except (OSError, ValueError, RecursionError) as error:
        raise ExperimentError(f"{path}: it cannot be read ({error}); delete it, and it is made again") from None
    return found


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(as_json(content).encode()).hexdigest()


def _check_same(directory: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Both are of the same experiment, or ``ExperimentError`` names the first thing that differs."""
    # The plan says how the first run divided the work; a resumed one keeps to it.
    for section in ("schema", "config", "versions", "data", "model"):
        before, now = found.get(section), wanted.get(section)
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            name = next(key for key in sorted({*before, *now}) if before.get(key) != now.get(key))
            before, now, section = before.get(name), now.get(name), f"{section} {name}"
        raise ExperimentError(
            f"{directory} holds an experiment with {section} {json.dumps(before):.60}, and this one has "
            f"{json.dumps(now):.60}: their numbers do not mix; give another output directory, or run it as it was"
        )
