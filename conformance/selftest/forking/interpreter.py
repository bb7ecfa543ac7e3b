"""An executable that stands for the interpreter where a test starts ``python -m pytest`` and waits.

A test that is about what is imported, about options of the interpreter, hash seeds or an installed package takes
``sys.executable``.
"""

from __future__ import annotations

import atexit
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


def interpreter() -> str:
    """Its path; what the process starts in turn, workers and fresh processes, is forked too."""
    return str(_place() / "python") if hasattr(os, "pidfd_open") else sys.executable


def interpreter_of_new() -> str:
    """The same, but what the process starts in turn are new interpreters, each with a hash seed of its own."""
    return str(_place() / "of_new") if hasattr(os, "pidfd_open") else sys.executable


@cache
def _place() -> Path:
    """Where both lie; the server behind them starts with the first call and ends with this process."""
    # The address of a socket may have a hundred characters, fewer than many a directory of pytest's.
    place = Path(tempfile.mkdtemp(prefix="fork-"))
    address = place / "server"
    client = [sys.executable, "-I", "-S", str(HERE / "client.py"), str(address)]
    for executable, starts in ((place / "python", str(place / "python")), (place / "of_new", sys.executable)):
        executable.write_text(f'#!/bin/sh\nexec {shlex.join([*client, starts])} "$@"\n')
        executable.chmod(0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen(64)
        server = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "server.py"), str(listener.fileno()), str(place)],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    atexit.register(server.communicate)
    return place
