"""Judged code does not end the process that judges it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

WAYS = ("execv", "execve")
"""What puts another program in place of this one: its exit status would be pytest's. All of ``os.exec…`` come here."""


@contextmanager
def staying(error_output: int) -> Iterator[None]:
    """``os._exit`` raises ``SystemExit`` here, which is an error of whoever calls it; so does ``os.execv``.

    In another thread nobody would catch that: the process ends there, with a sentence on the file descriptor
    ``error_output``, and never with status 0. A forked child ends as it wants to. Code in C that ends the process is
    noticed by the process around this one: see ``supervising``, or the controller of pytest-xdist.
    """
    process, really = os.getpid(), os._exit
    before = {name: getattr(os, name) for name in WAYS}

    def leave(status: int) -> NoReturn:
        if os.getpid() != process:
            really(status)
        if threading.current_thread() is threading.main_thread():
            raise SystemExit(f"os._exit({status})")
        os.write(error_output, f"\nthe judged code ends the process by os._exit({status}) in a thread\n".encode())
        really(status or 1)

    def stand_in(name: str) -> object:
        def run(*arguments: object) -> NoReturn:
            if os.getpid() != process:
                before[name](*arguments)
            raise SystemExit(f"os.{name}({', '.join(map(repr, arguments[:1]))})")

        return run

    os._exit = leave
    for name in WAYS:
        setattr(os, name, stand_in(name))
    try:
        yield
    finally:
        os._exit = really
        for name, function in before.items():
            setattr(os, name, function)
