"""An executable that stands for the interpreter where a test starts ``python -m pytest`` and waits.

A test that is about what is imported, about options of the interpreter, hash seeds or an installed package takes
``sys.executable``.
"""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@cache
def interpreter() -> str:
    """Its path; the server behind it starts with the first call and ends with this process."""
    if not hasattr(os, "pidfd_open"):
        return sys.executable
    # The address of a socket may have a hundred characters, fewer than many a directory of pytest's.
    place = Path(tempfile.mkdtemp(prefix="fork-"))
    address, executable = place / "server", place / "python"
    client = [sys.executable, "-I", "-S", str(HERE / "client.py"), str(address)]
    executable.write_text(f'#!/bin/sh\nexec {shlex.join(client)} "$@"\n')
    executable.chmod(0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen(64)
        server = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "server.py"), str(listener.fileno()), str(executable)],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    atexit.register(_end, server, place)
    return str(executable)


def _end(server: subprocess.Popen[bytes], place: Path) -> None:
    server.communicate()
    shutil.rmtree(place, ignore_errors=True)
