"""A process that has imported what a verdict needs of other packages, and forks a child for each command.

``server.py LISTENER PLACE`` serves until its standard input ends, and takes the folder ``PLACE`` away. It has imported
nothing of this package and runs no thread. A child is what a new interpreter would be after its first imports; what it
could not be is refused.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import random
import runpy
import select
import shutil
import signal
import socket
import sys
import types
import warnings
from dataclasses import dataclass, field
from typing import Any

IMPORTED = (
    "covertable",
    "hypothesis.stateful",
    "hypothesis.strategies",
    "numpy",
    "psutil",
    "pytest",
    "torch",
    "transformers",
    "transformers.models.llama.modeling_llama",
)
"""Modules that take long to import."""
PLUGINS = ("anyio", "hypothesis")
"""Those with a plugin of pytest, which would warn that it comes too late to rewrite their modules."""
ENDS_WITH: list[int] = []
"""The exit status of this process, once it is known."""
READ_AT_IMPORT = (
    *("CUDA", "HF_", "HOME", "HUGGINGFACE", "HYPOTHESIS", "KMP", "LANG", "LC_", "LD_", "MKL", "NUMPY", "PYTHON"),
    *("PYTORCH", "TOKENIZERS", "TORCH", "TRANSFORMERS", "XDG_"),
)
"""What the names of variables begin with that are read at a start or an import: a command with others is refused."""


@dataclass
class Command:
    """The arguments of an interpreter, as far as a child can follow them."""

    module: str = ""
    code: str = ""
    arguments: list[str] = field(default_factory=list)
    safe_path: bool = False
    unbuffered: bool = False
    no_bytecode: bool = False
    warnings: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, arguments: list[str]) -> Command | None:
        """``None`` where there is an option that a child cannot follow."""
        command, left = cls(), list(arguments)
        while left:
            match left.pop(0):
                case "-P":
                    command.safe_path = True
                case "-u":
                    command.unbuffered = True
                case "-B":
                    command.no_bytecode = True
                case "-W" if left and left[0] in ("ignore", "error"):
                    command.warnings.append(left.pop(0))
                case "-m" if left:
                    command.module, *command.arguments = left
                    return command
                case "-c" if left:
                    command.code, *command.arguments = left
                    return command
                case _:
                    return None
        return None


def read_at_import(environment: dict[str, str], made: dict[str, str]) -> dict[str, str]:
    """What an import reads, but for what the imports have made themselves."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(READ_AT_IMPORT) and made.get(name) != value
    }


def child_of(
    server: socket.socket, place: str, environment: dict[str, str], made: dict[str, str]
) -> tuple[Command, dict[str, Any], list[int]]:
    """A command with its request and its files, in the child that shall be it; processes before it never return."""
    while True:
        ready, _, _ = select.select([server.fileno(), 0], [], [])
        while _reaped():
            pass
        if 0 in ready:
            shutil.rmtree(place, ignore_errors=True)
            os._exit(0)
        connection, _ = server.accept()
        if os.fork():
            connection.close()
            continue
        server.close()
        text, files, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        request = json.loads(text)
        command = Command.of(request["arguments"])
        if command is None or read_at_import(request["environment"], made) != read_at_import(environment, made):
            connection.send(b"0")
            os._exit(0)
        if child := os.fork():
            attend(child, connection, files)
        connection.close()
        return command, request, files


def _reaped() -> bool:
    """One of those that have attended to a child has ended, and is let go."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def attend(child: int, connection: socket.socket, files: list[int]) -> None:
    """The client hears how the child has ended; where the client is gone, the child ends, and this process anyhow."""
    for number in files:
        os.close(number)
    ended = os.pidfd_open(child)
    connection.send(str(child).encode())
    ready, _, _ = select.select([connection.fileno(), ended], [], [])
    if ended not in ready:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if ended in ready:
        connection.send(str(status).encode())
    os._exit(0)


def settle(command: Command, request: dict[str, Any], files: list[int], made: dict[str, str]) -> None:
    """This process is where, and with what, the command was given."""
    os.setsid()
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update({**made, **request["environment"]})
    received = dict(zip(request["files"], files, strict=True))
    for number in range(3):
        if number in received:
            os.dup2(received[number], number)
        else:
            os.close(number)
    for number in files:
        os.close(number)
    sys.stdin = sys.__stdin__ = _anew(sys.stdin, 0, received)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _anew(sys.stdout, 1, received, unbuffered=command.unbuffered)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _anew(sys.stderr, 2, received, unbuffered=True)  # type: ignore[misc]
    for action in command.warnings:
        sys.warnoptions.append(action)
        warnings.simplefilter(action)
    sys.dont_write_bytecode |= command.no_bytecode
    sys.executable = request["executable"]
    sys.orig_argv = [sys.executable, *request["arguments"]]
    sys.argv = ["-m" if command.module else "-c", *command.arguments]
    if not command.safe_path:
        sys.path.insert(0, os.getcwd() if command.module else "")
    if request["interrupted"]:  # a shell's background job is not
        signal.signal(signal.SIGINT, signal.default_int_handler)
    importlib.invalidate_caches()
    random.seed()
    sys.modules["numpy"].random.seed()
    given = os.environ.get("OMP_NUM_THREADS", "")
    sys.modules["torch"].set_num_threads(int(given) if given.isdigit() else len(os.sched_getaffinity(0)))


def _anew(stream: Any, number: int, received: dict[int, int], *, unbuffered: bool = False) -> Any:
    """A standard stream as it is at a start, where its file may be a terminal or closed."""
    if number not in received:
        return None
    made = open(number, stream.mode, encoding=stream.encoding, errors=stream.errors, closefd=False)  # noqa: SIM115
    if number:
        made.reconfigure(write_through=stream.write_through or unbuffered)
    return made


def main(listener: str, place: str) -> None:
    given = dict(os.environ)
    atexit.register(leave)  # The first that is registered is the last that is called.
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A terminal's Ctrl-C is for the tests, which end this process.
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in IMPORTED:
        importlib.import_module(name)
    del os.environ["OMP_NUM_THREADS"]
    for name, module in sys.modules.items():
        if name.lstrip("_").startswith(PLUGINS) and "." not in name:
            module.__doc__ = "PYTEST_DONT_REWRITE"
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("a process with threads cannot be forked")
    made = {name: value for name, value in os.environ.items() if name not in given}
    gc.collect()
    gc.freeze()
    command, request, files = child_of(socket.socket(fileno=int(listener)), place, given, made)
    settle(command, request, files, made)
    try:
        run(command)
        ENDS_WITH.append(0)
    except SystemExit as end:
        if isinstance(end.code, int | None):
            ENDS_WITH.append((end.code or 0) & 0xFF)
        raise


def run(command: Command) -> None:
    if command.module:
        runpy.run_module(command.module, run_name="__main__", alter_sys=True)
    else:
        sys.modules["__main__"] = program = types.ModuleType("__main__")
        exec(compile(command.code, "<string>", "exec"), program.__dict__)


def leave() -> None:
    """The last that is done at an exit: nothing that was imported is taken apart, which takes longer than a command."""
    if ENDS_WITH:
        with contextlib.suppress(OSError, ValueError):  # what cannot be written is told by the interpreter itself
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
            os._exit(ENDS_WITH[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
