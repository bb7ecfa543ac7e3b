"""The example of a real model runs on any; what it shows needs one that was trained (``tox -e real-model``)."""

from __future__ import annotations

import pytest
from pytest_steering.fixtures import real_model


def test_a_model_that_was_never_trained_is_not_moved_further_than_by_chance(capsys: pytest.CaptureFixture[str]) -> None:
    assert real_model.main(["tiny:llama"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny:llama, layers 1 to 1: praise beside blame after 6 subjects"
    assert [line[:5] for line in lines[-3:]] == ["-0.1:", "+0.0:", "+0.1:"]
