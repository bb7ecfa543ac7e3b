"""What somebody who waits at a terminal sees: which model is loading or running, how large, how far, about how long.

One line stands below pytest's own and is taken away before pytest writes again. Without a terminal there is nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_steering.plugin.options import Settings, is_worker
from pytest_steering.report.text import legible
from pytest_steering.targets.spec import SpecKind, parse_spec, spec_in

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

NAME = "steering-progress"
PATIENCE = 2.0
"""After so many seconds in one test somebody waits."""
_USUAL = {
    "architecture": 0.5,
    "generation": 0.6,
    "hot_path": 1.0,
    "lifecycle": 1.2,
    "numerics": 0.4,
    "uses": 2.8,
}
"""How long a test of a group takes beside one of the others, as seen on small models; others take 0.1."""


def begin(config: pytest.Config, settings: Settings) -> None:
    """Progress is shown where this process writes to a terminal, and nobody asked for quiet."""
    option = config.option
    plain = getattr(option, "verbose", 0) >= 0 and option.capture != "no" and not config.getini("log_cli")
    if not is_worker(config) and plain and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        config.pluginmanager.register(Progress(config, settings), NAME)


@contextmanager
def loading(config: pytest.Config, spec: str) -> Iterator[Callable[[int, str], None]]:
    """A model is loaded inside the block; what is yielded takes the number of its parameters and where they are."""
    shown: Progress | None = config.pluginmanager.get_plugin(NAME)

    def loaded(parameters: int, where: str) -> None:
        if shown is not None:
            shown.large[spec] = f"{_short(parameters)} parameters, {where}"

    if shown is not None:
        shown.loading = spec
    try:
        yield loaded
    finally:
        if shown is not None:
            shown.loading = ""


class Progress:
    """The line that changes, and the one that names each model under each adapter as it begins."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._config = config
        self._specs = [spec.text for spec in settings.specs]
        self._adapters = settings.adapters
        self._terminal = os.dup(sys.stdout.fileno())
        """What tests write is captured; this is not."""
        self._lock = threading.RLock()
        self._drawn = False
        self._over = threading.Event()
        self._running: dict[str, float] = {}
        self._todo: dict[str, None] = {}
        self._count = 0
        self._work = 0.0
        self._begun = 0.0
        self.loading = ""
        """The model that is being loaded in this process."""
        self.large: dict[str, str] = {}
        """How large each model is that was loaded."""
        self._named: set[tuple[str, str]] = set()
        self._set_up: set[str] = set()
        self._reporter: pytest.TerminalReporter | None = None

    # What happens

    def pytest_sessionstart(self) -> None:
        """The reporter is there; one of another plugin's draws a picture of its own."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        # Before 8.4 pytest has no public name for it.
        if type(reporter).__module__ == "_pytest.terminal":
            self._reporter = reporter
            threading.Thread(target=self._watch, name=NAME, daemon=True).start()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """The tests are known."""
        self._take([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: WorkerController, ids: list[str]) -> None:
        """The tests are known to a worker."""
        self._take(ids)

    def _take(self, nodeids: list[str]) -> None:
        if not self._count:
            self._todo, self._count = dict.fromkeys(nodeids), len(nodeids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins, here or on a worker."""
        with self._lock:
            self._erase()
            self._begun = self._begun or time.monotonic()
            self._running[nodeid] = time.monotonic()
            who = self._subject(nodeid)
            if self._reporter is not None and who[0] and who not in self._named:
                self._named.add(who)
                self._reporter.ensure_newline()
                self._reporter.write_line(self._begins(*who), bold=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test is over."""
        with self._lock:
            self._erase()
            if report.when == "setup":
                self._set_up.add(self._subject(report.nodeid)[0])
            elif report.when == "teardown":
                self._running.pop(report.nodeid, None)
                if report.nodeid in self._todo:
                    del self._todo[report.nodeid]
                    self._work += _weight(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Nobody waits any more."""
        self._over.set()
        with self._lock:
            self._running.clear()
            self._erase()

    def pytest_keyboard_interrupt(self) -> None:
        """Nor after Ctrl-C."""
        self.pytest_sessionfinish()

    def pytest_enter_pdb(self) -> None:
        """Who looks into a failure wants the terminal for himself."""
        self.pytest_sessionfinish()

    # What is said

    def _begins(self, spec: str, adapter: str) -> str:
        number = self._specs.index(spec) + 1 if spec in self._specs else 0
        count = f", model {number} of {len(self._specs)}" if number and len(self._specs) > 1 else ""
        return legible(f"steering: {spec} with {adapter}{count}")

    def says(self, now: float) -> str:
        """The line as it is now; empty while nobody waits."""
        waits = {nodeid: now - began for nodeid, began in self._running.items() if now - began > PATIENCE}
        if not waits:
            return ""
        nodeid = max(waits, key=lambda nodeid: waits[nodeid])
        spec, _ = self._subject(nodeid)
        if self.loading or (spec and spec not in self._set_up):
            large: list[str] = []
            what = f"loading {self.loading or spec}{_on_disk(self.loading or spec)}"
        else:
            test = nodeid.rpartition("::")[2].partition("[")[0].removeprefix("test_").replace("_", "-")
            what = f"{spec}: {test}" if spec else test
            large = [self.large[spec]] if spec in self.large else []
        others = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
        done = f"{self._count - len(self._todo)} of {self._count} tests"
        return legible("; ".join([f"{what}, {waits[nodeid]:.0f} s{others}", done, *self._left(now), *large]))

    def _left(self, now: float) -> list[str]:
        """About how long it will go on: as it went until now, by how long tests take beside one another."""
        left = sum(map(_weight, self._todo))
        if self._work < 0.05 * (self._work + left):
            return []
        seconds = (now - self._begun) / self._work * left
        return [f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"]

    def _subject(self, nodeid: str) -> tuple[str, str]:
        """The model and the adapter of a test; the adapter is empty where it runs once for all of several."""
        spec = spec_in(nodeid, self._specs)
        if len(self._adapters) == 1:
            return spec, self._adapters[0]
        after = nodeid.partition(f"[{spec}-")[2]
        found = [name for name in self._adapters if after.startswith((f"{name}-", f"{name}]"))]
        return spec, max(found, key=len, default="")

    # How it is drawn

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            with self._lock:
                text = self.says(time.monotonic())
                if text and not self._over.is_set():
                    self._write(text)

    def _erase(self) -> None:
        if self._drawn:
            self._write("")

    def _write(self, text: str) -> None:
        """The line below the one that pytest is at holds the text, and the cursor is where it was."""
        columns = shutil.get_terminal_size().columns
        writer: Any = self._config.get_terminal_writer()
        column = writer.width_of_current_line % columns + 1
        line = f"\n\r\x1b[2K{text[: columns - 1]}\x1b[1A\x1b[{column}G"
        self._drawn = bool(text)
        try:
            os.write(self._terminal, line.encode("utf-8", "replace"))
        except OSError:  # the terminal is gone
            self._over.set()


def _weight(nodeid: str) -> float:
    group = nodeid.partition("::")[0].rpartition("test_")[2].removesuffix(".py")
    return _USUAL.get(group, 0.1)


def _short(number: int) -> str:
    for size, word in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= size:
            return f"{number / size:.3g}{word}"
    return str(number)


def _on_disk(text: str) -> str:
    """How large the weights are that are here by now, of a directory or of the Hub's cache."""
    spec = parse_spec(text)
    if spec.kind is SpecKind.DIRECTORY:
        files = Path(spec.value).glob("*.safetensors")
    elif spec.kind is SpecKind.HUB:
        home = os.environ.get("HF_HOME") or os.path.expanduser("~/.cache/huggingface")
        cache = os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")
        files = Path(cache, f"models--{spec.value.replace('/', '--')}", "blobs").glob("*")
    else:
        return ""
    try:
        size = sum(file.stat().st_size for file in files)
    except OSError:
        return ""
    return f" ({size / 1e9:.2g} GB)" if size >= 1e7 else f" ({size / 1e6:.2g} MB)" if size else ""
