"""What an older pytest cannot do is said in one sentence."""

from __future__ import annotations

import pytest


def test_a_selection_by_requirement(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytest, "version_tuple", (8, 2, 2))
    monkeypatch.setattr(pytest, "__version__", "8.2.2")
    result = pytester.runpytest_inprocess(
        "--steering-model=tiny:llama", "-m", "steering_requirement(id='exact-delta')", "-p", "no:cacheprovider"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [
        "ERROR: -m: pytest 8.2.2 cannot select by what a marker is given; update it to 8.3 or newer, or select by name "
        "with -k"
    ]
