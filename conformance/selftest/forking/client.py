"""What stands for the interpreter: the command's process, whose work a child of the server does.

``client.py ADDRESS EXECUTABLE argument…`` hands its arguments, environment, directory and files to the server, passes
on every signal, and ends as the child ends. ``EXECUTABLE`` is what the child takes for the interpreter. Where the
server is gone or says no it becomes the interpreter itself. It knows the standard library alone, and starts in no time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def files() -> list[int]:
    """Which of the standard files are open."""
    found = []
    for number in range(3):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found.append(number)
    return found


def ask(server: socket.socket, executable: str, arguments: list[str], opened: list[int]) -> int:
    """The child's process id, or 0 where the server has none for this."""
    request = {
        "executable": executable,
        "arguments": arguments,
        "directory": os.getcwd(),
        "environment": dict(os.environ),
        "files": opened,
        "interrupted": signal.getsignal(signal.SIGINT) is not signal.SIG_IGN,
    }
    socket.send_fds(server, [json.dumps(request).encode()], opened)
    return int(server.recv(64) or 0)


def end_as(status: int) -> None:
    """This process ends with the exit status of the child, or by the signal that ended it."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [-code])
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def main(address: str, executable: str, arguments: list[str]) -> None:
    opened = files()
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    child = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        with contextlib.suppress(OSError):
            server.connect(address)
            child = ask(server, executable, arguments, opened)
        if child:

            def pass_on(number: int, _frame: object) -> None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, number)

            for number in PASSED_ON:
                signal.signal(number, pass_on)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
            end_as(int(server.recv(64)))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
