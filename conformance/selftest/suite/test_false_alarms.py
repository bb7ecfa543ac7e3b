"""False alarms are counted: none of a right adapter, each of a wrong one, and an adapter that refuses is not judged."""

from __future__ import annotations

import pytest
from pytest_steering.fixtures import false_alarms

FEW = ["--runs", "1", "--jobs", "1", "-k", "any_scale or every_row or layers_found"]


@pytest.mark.slow
def test_a_right_adapter_raises_none(capsys: pytest.CaptureFixture[str]) -> None:
    adapters = ("--adapter", "hooks", "--adapter", "folded")
    assert false_alarms.main([*FEW, *adapters, "--model", "tiny:gemma3@image-text-to-text"]) == 0
    assert capsys.readouterr().out.endswith("judged on 1 models: hooks 1 times; 0 false alarms\n")


@pytest.mark.slow
def test_each_failure_of_a_wrong_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        false_alarms.main(
            [*FEW, "--adapter", "pytest_steering.fixtures.known_bad.tokens:RowZero", "--model", "tiny:llama"]
        )
        == 1
    )
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("RowZero on tiny:llama with seed 1: ")
    assert not last.endswith(" 0 false alarms")
