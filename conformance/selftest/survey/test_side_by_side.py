"""One command measures every adapter beside the unsteered model, says what it could not measure, and draws the rest."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from pytest_steering.survey.files import SurveyError
from pytest_steering.survey.side_by_side.measuring import BUILT_IN, LIBRARIES, measure
from pytest_steering.survey.side_by_side.table import PICTURE, drawn, read_stored, table, write_stored

ENTRY = {
    "ratios": {"eager decode 1": {"ratio": 1.25, "low": 1.0, "high": 9.0, "tokens": 10.0}},
    "counts": {"operations": 3, "synchronisations": 0, "bytes": 384, "calls": 9, "peak": 128},
}
DOCUMENT = {
    "schema": 1,
    "model": "tiny:llama",
    "device": "cpu, 1 threads",
    "versions": {"torch": "2"},
    "pairs": 5,
    "adapters": {"hooks": ENTRY, "repeng": {"reason": "not installed"}},
}


def test_the_table_has_ratios_with_intervals_counts_and_what_is_missing() -> None:
    shown = table(DOCUMENT)
    assert "| hooks | 1.25 (1.00 to 9.00) | 3, 0, 384 |" in shown
    assert "Not measured: `repeng` (not installed)." in shown


def test_what_can_do_a_part_alone_is_shown_with_that_part() -> None:
    part = {"ratios": ENTRY["ratios"], "cannot": {"a pass of one token": "RuntimeError: no"}}
    assert "| repeng | 1.25 (1.00 to 9.00) | - |" in table({**DOCUMENT, "adapters": {"repeng": part}})


def test_the_picture_is_drawn_from_the_same(tmp_path: Path) -> None:
    root = ElementTree.fromstring(drawn(DOCUMENT))
    texts = [each.text for each in root.iter() if each.tag.endswith("text")]
    assert texts == ["hooks, eager decode 1", "1.25"]
    write_stored(DOCUMENT, tmp_path / "a.json", tmp_path / "a.svg")
    assert read_stored(tmp_path / "a.json") == DOCUMENT
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(SurveyError, match="no measurement of schema 1"):
        read_stored(tmp_path / "a.json")


def test_the_stored_picture_is_that_of_the_stored_measurement() -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawn(read_stored())


@pytest.mark.slow
def test_every_adapter_is_measured_or_has_a_reason() -> None:
    found = measure("tiny:llama", modes=("eager",), pairs=2, say=lambda _: None, backend="eager")["adapters"]
    assert set(found) == {"no steering", "bare hook", *BUILT_IN, *LIBRARIES}
    for name, entry in found.items():
        assert ("reason" in entry) != ("counts" in entry), name
    assert found["no steering"]["counts"]["operations"] == 0
    assert found["hooks"]["counts"]["operations"] == found["bare hook"]["counts"]["operations"] == 3
