"""What pytest-benchmark was asked to compare and did not: it says nothing of that, and the run must not pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_steering.errors import printable

KEY = "pytest-steering::"
"""What the key of every benchmark of the suite begins with."""


_ELSEWHERE = pytest.StashKey[list[str]]()


def _machine(info: Mapping[str, Any]) -> dict[str, Any]:
    """What decides how fast a machine is, of all that pytest-benchmark writes down: no host name, no present clock."""
    cpu = info.get("cpu") or {}
    told = {name: info.get(name) for name in ("system", "machine", "processor", "python_implementation")}
    return {**told, **{f"cpu {name}": cpu.get(name) for name in ("brand_raw", "arch", "count")}}


def compare_machines(config: pytest.Config, here: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """Where a stored run is of another machine, it is noted what differs: its clock says nothing of this one."""
    mine, theirs = _machine(here), _machine(stored)
    differ = [f"{name}: {theirs[name]}, here {value}" for name, value in mine.items() if theirs[name] != value]
    if differ:
        config.stash.setdefault(_ELSEWHERE, []).append("; ".join(differ))


def uncompared(config: pytest.Config) -> list[str]:
    """Why ``--benchmark-compare-fail`` compared nothing, or not everything; empty when it did, or was not asked."""
    session: Any = getattr(config, "_benchmarksession", None)
    if session is None or not config.getoption("benchmark_compare_fail", None):
        return []
    option = "--benchmark-compare-fail"
    if session.disabled:
        return [f"{option} compares nothing: benchmarks are switched off"]
    if not session.compared_mapping:
        return [f"{option} compares nothing: there is no stored run; make one with --benchmark-autosave"]
    if elsewhere := config.stash.get(_ELSEWHERE, None):
        return [
            f"{option} compares with a run of another machine ({printable(elsewhere[0])}): store one of this machine "
            "with --benchmark-autosave, or gate on counts, which are the same everywhere, with --steering-baseline"
        ]
    ran = [each.fullname for each in session.benchmarks if each]
    if not ran:
        return [f"{option} compares nothing: no benchmark ran"]
    stored = {name for benchmarks in session.compared_mapping.values() for name in benchmarks}
    return [
        f"{option} knows nothing of {name}: the stored run has no such benchmark; store a new one with "
        "--benchmark-autosave"
        for name in ran
        if name not in stored
    ]
