"""A small experiment in a process of its own, and what differs between the numbers of two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pytest_steering.errors import Violation
from pytest_steering.evaluation.scenarios import embedded_root
from pytest_steering.process import FreshProcess

_SMALL = {
    "cwes": "CWE-89",
    "doses": "0,0.1,0.25",
    "random-directions": "1",
    "max-new-tokens": "0",
    "max-samples-per-cwe": "2",
}
"""One weakness, both of its folds: vectors, answers, distributions and the robustness case."""
_WITHOUT = ("--no-class-control", "--no-layer-scan", "--no-pictures", "--quiet")


class FreshStudy(FreshProcess):
    """``python -m pytest_steering experiment`` on a few of the embedded pairs."""

    def __init__(
        self,
        directory: Path,
        *,
        spec: str,
        adapter: str,
        device: str | None = None,
        dtype: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        """What it finds goes to ``directory``, which is new."""
        self._directory = directory
        chosen = _SMALL | {"model": spec, "adapter": adapter, "data": str(embedded_root()), "output": str(directory)}
        chosen |= {name: value for name, value in (("device", device), ("dtype", dtype)) if value}
        options = [text for name, value in chosen.items() for text in (f"--{name}", value)]
        trusting = ("--trust-remote-code",) * trust_remote_code
        super().__init__("pytest_steering", "experiment", *options, *_WITHOUT, *trusting)

    def numbers(self) -> Any:
        """Everything that the experiment found, or ``RuntimeError`` with the last line that it wrote.

        A large model on a CPU is given an hour.
        """
        self.output(seconds=3600)
        return json.loads((self._directory / "results.json").read_text(encoding="utf-8"))


def studies(subject: Mapping[str, Any], directory: Path, *, together: bool) -> list[Any]:
    """What two processes find, at work ``together`` or one after the other; ``Violation`` when one ends in an error."""
    with ExitStack() as stack:

        def start(name: str) -> FreshStudy:
            study = FreshStudy(directory / name, **subject)
            stack.callback(study.close)
            return study

        started = [start(name) for name in ("one", "other")] if together else map(start, ("one", "other"))
        try:
            return [study.numbers() for study in started]
        except RuntimeError as error:
            raise Violation(f"an experiment in a fresh process fails: {error}") from error


def first_difference(one: Any, other: Any, path: str = "") -> str:
    """Where two documents differ first, as ``pooled.doses.1.shift: 1.2 and 1.3``; empty where they are equal."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs: list[tuple[str, Any, Any]] = [(str(name), one[name], other[name]) for name in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(index), left, right) for index, (left, right) in enumerate(zip(one, other, strict=True))]
    else:
        return "" if one == other else f"{path}: {json.dumps(one)[:60]} and {json.dumps(other)[:60]}"
    inside = (first_difference(left, right, f"{path}.{name}".lstrip(".")) for name, left, right in pairs)
    return next(filter(None, inside), "")
