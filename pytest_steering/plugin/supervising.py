"""The process that judges is watched by one that runs no judged code: it alone says how the run has ended.

Code in C can end a process with any status, which nothing within the process sees: ``_exit(0)`` would be a success.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_MAIN = ("pytest", "py.test")
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
_DIE_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG``."""
UNTOLD = "the run has ended before pytest came to its end: judged code has ended the process"
OTHER = "the process has ended with another status than pytest: judged code has ended it"


class Supervisor:
    """Where a run tells how it ends; ``telling`` is the file descriptor that it tells by, if anybody listens."""

    telling: int | None = None
    run: object = None
    """The configuration of the run that is watched: a test may call pytest in turn, and that run tells nothing."""

    @classmethod
    def begin(cls, run: object) -> None:
        """The run goes on in a child of this process, where pytest is what this process is for and can be forked."""
        if not _is_pytest() or not hasattr(os, "fork") or _has_a_device():
            return
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        listening, cls.telling = os.pipe()
        cls.run = run
        together = _at_a_terminal()
        child = os.fork()
        if child:
            os.close(cls.telling)
            _watch(child, listening, together)
        os.close(listening)
        if not together:
            os.setpgid(0, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)

    @classmethod
    def tell(cls, run: object, status: int) -> None:
        """Pytest has come to its end, with this status."""
        if cls.telling is not None and run is cls.run:
            os.write(cls.telling, bytes([min(int(status), 255)]))


def _is_pytest() -> bool:
    """Pytest was typed, as ``pytest`` or ``python -m pytest``: who calls it from code of his own is not left forked."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    name = spec.name.partition(".")[0] if spec is not None else Path(getattr(main, "__file__", None) or "").stem
    return name in _MAIN


def _has_a_device() -> bool:
    """A GPU is in use already, which no child can go on with."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def _at_a_terminal() -> bool:
    """A terminal sends what is typed, Ctrl-C too, to every process of this group."""
    for file in range(3):
        with suppress(OSError):
            return os.tcgetpgrp(file) == os.getpgrp()
    return False


def _watch(child: int, listening: int, together: bool) -> NoReturn:
    """The process ends as the run did, and never as a success where pytest has not said so.

    Each signal reaches the run once: from the terminal, to which both listen ``together``, or from here.
    """
    for number in {getattr(signal, name) for name in _FORWARDED if hasattr(signal, name)}:
        if signal.getsignal(number) is not signal.SIG_IGN:  # what is ignored, as by nohup, the child ignores, too
            signal.signal(number, lambda number, _frame: os.kill(child, number))
    if together:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os.set_blocking(listening, False)
    try:
        told = os.read(listening, 1)
    except BlockingIOError:  # something that the run has started still holds the other end
        told = b""
    left = os.waitstatus_to_exitcode(status)
    if left == 0 and told != b"\0":
        os.write(2, f"\n{OTHER if told else UNTOLD}\n".encode())
        left = told[0] if told else 1
    os._exit(left)
