"""Right adapters that steer by other means than the built-in ones are failed by nothing.

A third of them is tried here, and all with ``KNOWN_GOOD=all``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_steering.fixtures.known_good import ALL

from conformance.selftest.samples import sample
from conformance.selftest.verdicts_of import verdicts

JUDGED = sample(ALL, 3, "KNOWN_GOOD")


@pytest.mark.slow
def test_they_conform_by_whatever_means(tmp_path: Path) -> None:
    names = [f"--steering-adapter={adapter.__module__}:{adapter.__qualname__}" for adapter in JUDGED]
    chosen = ("-k", "exact_delta or arguments or masks or caller_cache or states or every_ending")
    found = verdicts(tmp_path / "report.json", "--steering-model=tiny:llama", *names, *chosen)
    assert len(found) == len(JUDGED) >= 7
    assert {name: row["failed"] for name, row in found.items() if row["failed"]} == {}


def test_there_are_many_means_and_each_says_which() -> None:
    assert len({adapter.__name__ for adapter in ALL}) == len(ALL) >= 20
    assert all(adapter.__doc__ for adapter in ALL)
