"""All known-bad adapters judged in one run, and those whose cause is not named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_steering.fixtures.known_bad import ALL

from conformance.selftest.verdicts_of import verdicts


def known_bad_run(
    directory: Path, spec: str = "tiny:llama", *, adapters: Sequence[Any] = ALL, **environment: str
) -> dict[str, dict[str, Any]]:
    names = [f"--steering-adapter={adapter.__module__}:{adapter.__qualname__}" for adapter in adapters]
    report = directory / "report.json"
    return verdicts(
        report, f"--steering-model={spec}", "-p", "pytest_steering.fixtures.known_bad.selecting", *names, **environment
    )


def misnamed(
    found: dict[str, dict[str, Any]], spec: str = "tiny:llama", *, adapters: Sequence[Any] = ALL
) -> tuple[dict[str, str], dict[str, str]]:
    """The known-bad adapters whose cause is not named, and those for which another one is, with what is said."""
    unknown, wrong = {}, {}
    for adapter in adapters:
        row = found[f"{spec} {adapter.__name__}"]
        said = row["cause"]
        if row["verdict"] != "fails":
            continue
        if not said:
            unknown[adapter.__name__] = row["likely"]
        elif said != adapter.cause:
            wrong[adapter.__name__] = said
    return unknown, wrong
