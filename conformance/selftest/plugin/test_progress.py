"""Somebody who waits at a terminal sees what goes on; a log without a terminal gets nothing more."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time

import pytest

from conformance.selftest.desk import FEW, MODEL, OTHERS, RIGHT, Desk
from conformance.selftest.forking.interpreter import interpreter

SLOW = "import time\nfrom my_models import a\ndef slow(): time.sleep(5); return a()\n"
DRAWN = re.compile(r"\n\r\x1b\[2K(?P<text>[^\x1b\n]*)\x1b\[1A\x1b\[\d+G")
"""What the line below is drawn and taken away with: it leaves the cursor where it was."""
NAMED = "steering: slowly:slow with my_steering:Right, model 1 of 2"


def at_a_terminal(desk: Desk, *args: str) -> str:
    """What pytest writes to a terminal of 100 columns, in a process of its own."""
    return all_of(*begun(desk, *args))


def begun(desk: Desk, *args: str) -> tuple[int, subprocess.Popen[bytes]]:
    """The terminal's other end, and the process that writes to it."""
    parent, child = pty.openpty()
    known = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CI", "GITHUB_"))}
    said = {**known, "TERM": "xterm", "COLUMNS": "100", "OMP_NUM_THREADS": "1"}
    command = [interpreter(), "-m", "pytest", *OTHERS, *args]
    process = subprocess.Popen(command, cwd=desk.path, stdin=child, stdout=child, stderr=child, env=said)
    os.close(child)
    return parent, process


def all_of(parent: int, process: subprocess.Popen[bytes]) -> str:
    """What the process writes until it ends."""
    with process:
        text, until = b"", time.monotonic() + 300
        while time.monotonic() < until:
            if select.select([parent], [], [], 0.2)[0]:
                try:
                    more = os.read(parent, 65536)
                except OSError:
                    break
                if not more:
                    break
                text += more
        process.kill()
    os.close(parent)
    return text.decode().replace("\r\n", "\n")


@pytest.fixture
def slow(desk: Desk) -> Desk:
    desk.write(slowly=SLOW)
    return desk


@pytest.mark.slow
@pytest.mark.parametrize("workers", [("-p", "no:xdist"), ("-n", "1")], ids=["alone", "one"])
def test_who_waits_sees_what_is_loading_and_how_far_it_is(slow: Desk, workers: tuple[str, ...]) -> None:
    middle = "'every_row' in item.nodeid and 'middle' in item.nodeid"
    slow.plugin(f"def pytest_runtest_call(self, item): time.sleep(3.5 * ({middle}))")
    text = at_a_terminal(slow, "--steering-model=slowly:slow", MODEL, RIGHT, *FEW, *workers)
    drawn = [each["text"] for each in DRAWN.finditer(text) if each["text"]]
    assert any(re.fullmatch(r"loading slowly:slow, \d+ s; 0 of 22 tests", line) for line in drawn), drawn
    large = "" if workers[0] == "-n" else r"; [\d.]+K parameters, cpu float32"
    running = rf"slowly:slow: every-row, \d s; 8 of 22 tests(; about \d+ s left)?{large}"
    assert any(re.fullmatch(running, line) for line in drawn), drawn
    left = DRAWN.sub("", text)
    assert "\x1b[2K" not in left
    assert NAMED in left
    assert left.index(NAMED) < left.index("steering: my_models:a with my_steering:Right, model 2 of 2")
    # The last that was drawn was taken away.
    assert not list(DRAWN.finditer(text))[-1]["text"]
    assert "22 passed" in left


@pytest.mark.slow
def test_a_log_gets_nothing(slow: Desk) -> None:
    result = slow.run_apart("--steering-model=slowly:slow", RIGHT, *FEW)
    assert result.ret == 0
    assert "loading" not in result.stdout.str()
    assert "\x1b" not in result.stdout.str()
    assert "steering: slowly:slow with my_steering:Right, model" not in result.stdout.str()
    assert result.outlines.count("steering: slowly:slow with my_steering:Right") == 1


@pytest.mark.slow
def test_where_others_write_or_nobody_wants_it_nothing_is_drawn(slow: Desk) -> None:
    asked = ("--steering-model=slowly:slow", RIGHT, "-k", "layers_found", "-p", "no:cacheprovider")
    ways = (("-q",), ("-s",), ("-o", "log_cli=true"))
    at_once = [begun(slow, *asked, *way) for way in ways]
    for way, one in zip(ways, at_once, strict=True):
        text = all_of(*one)
        assert "1 passed" in text, way
        assert not DRAWN.search(text), way


def test_nothing_is_drawn_where_no_model_is_asked_for(desk: Desk) -> None:
    desk.write(test_mine="import time\ndef test_mine(): time.sleep(4)")
    text = at_a_terminal(desk, "test_mine.py")
    assert "1 passed" in text
    assert not DRAWN.search(text)
