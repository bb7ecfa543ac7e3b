"""``python -m pytest_steering requirements ID`` and ``capabilities`` explain by docstrings alone."""

from __future__ import annotations

import sys

import pytest

from pytest_steering.__main__ import main
from pytest_steering.steering.plan import Positions
from pytest_steering.suite.catalogue import catalogue
from pytest_steering.suite.explaining import breakers, explained


def typed(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pytest_steering", *args])
    return main()


@pytest.mark.parametrize("name", catalogue())
def test_every_requirement_is_explained(name: str) -> None:
    text = explained(name)
    requirement = catalogue()[name]
    assert f"{requirement.sentence}." in text
    for title in ("what is run", "tolerance", "needs", "broken by", "alone"):
        assert f"\n{title}:\n    " in text
    for need in requirement.needs:
        assert need.upper() in text or f"{need} (of the model)" in text


def test_the_adapters_that_break_it_are_those_that_say_so() -> None:
    assert "RowZero" in breakers()["every-row"]
    assert "NeverFires" in breakers()["exact-delta"]
    assert breakers()["residual-shape"] == ["TypeLost"]
    assert breakers()["layers-found"] == [], "a model breaks it, no adapter"


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch, "requirements", "exact-delta", "every-row") == 0
    out = capsys.readouterr().out
    assert out.startswith("exact-delta:\n    the steered residual equals")
    assert "\n\nevery-row:\n" in out
    assert typed(monkeypatch, "requirements", "exact-dleta") == 4
    assert capsys.readouterr().err == "there is no requirement 'exact-dleta'; did you mean 'exact-delta'?\n"


def test_the_terms(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed(monkeypatch, "capabilities") == 0
    out = capsys.readouterr().out
    for position in Positions:
        assert f"- `{position.name}`: " in out
    for term in ("``accumulates``", "measured difference of two unsteered runs", "units in the last place"):
        assert term in out
