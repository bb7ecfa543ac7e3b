"""What pytest-benchmark was asked to compare and did not: it says nothing of that, and the run must not pass."""

from __future__ import annotations

from typing import Any

import pytest

KEY = "pytest-steering::"
"""What the key of every benchmark of the suite begins with."""


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
