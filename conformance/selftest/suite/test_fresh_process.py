"""A process of its own that fails or never ends is told in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_steering.suite.fresh_process import FreshProcess


def test_what_it_printed() -> None:
    assert FreshProcess("timeit", "-n", "1", "-r", "1", "pass").output().startswith("1 loop")


def test_one_that_does_not_end_is_ended() -> None:
    process = FreshProcess("timeit", "-n", "1", "-s", "import time", "time.sleep(600)")
    with pytest.raises(RuntimeError, match=r"^it has not ended after 0\.5 s$"):
        process.output(seconds=0.5)
    assert process.ended


def test_one_that_fails_gives_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^exit status \d: .*No such file"):
        FreshProcess("json.tool", str(tmp_path / "nowhere.json")).output()
