"""A requirement that never ends is ended: its name is said, and where it stands."""

from __future__ import annotations

import faulthandler
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRACE = 2.0
"""Seconds in which its name is said and the reports are written. Code that lets no other thread run leaves no time for
that: then the traceback alone says where it stands."""
LONGEST = 7 * 24 * 3600.0


class Limit:
    """How long a requirement may take, from the making of its model to its end.

    The clock is that of ``faulthandler``, which ends the process with status 1 also inside C code; a worker of
    pytest-xdist ends alone, and its controller goes on with the others.
    """

    def __init__(self, seconds: float, error_output: int, last_words: Callable[[], None]) -> None:
        """``error_output`` is a file descriptor that nobody captures; ``last_words`` is called before the end."""
        self.seconds = seconds
        self.error_output = error_output
        self.last_words = last_words

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        """The process ends if this takes longer."""
        if not self.seconds:
            yield
            return
        timer = threading.Timer(self.seconds, self._say, [name])
        timer.daemon = True
        timer.start()
        faulthandler.dump_traceback_later(self.seconds + GRACE, exit=True, file=self.error_output)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            timer.cancel()

    def _say(self, name: str) -> None:
        text = f"\n{name} has not ended after {self.seconds:g} s (--steering-timeout): the run ends; it stands here:\n"
        os.write(self.error_output, text.encode("utf-8", "backslashreplace"))
        self.last_words()
