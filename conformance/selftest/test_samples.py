"""A sample leaves out no kind, and the environment asks for all."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from conformance.selftest.samples import sample, sample_of_each

CASES = [SimpleNamespace(kind=kind, number=number) for number in range(5) for kind in "ab"]


@pytest.fixture(autouse=True)
def _no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAMPLES", raising=False)
    monkeypatch.delenv("THESE", raising=False)


def test_every_so_manyth_and_of_each_kind_one() -> None:
    assert sample(range(7), 3, "THESE") == range(0, 7, 3)
    assert [(each.kind, each.number) for each in sample_of_each(CASES, "kind", 3, "THESE")] == [
        ("a", 0),
        ("a", 3),
        ("b", 0),
        ("b", 3),
    ]
    assert len(sample_of_each(CASES, "kind", 100, "THESE")) == 2


@pytest.mark.parametrize("variable", ["THESE", "SAMPLES"])
def test_the_environment_asks_for_all(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "all")
    assert sample(range(7), 3, "THESE") == range(7)
    assert len(sample_of_each(CASES, "kind", 3, "THESE")) == len(CASES)
    assert sample(range(7), 3, "THOSE") == (range(7) if variable == "SAMPLES" else range(0, 7, 3))
