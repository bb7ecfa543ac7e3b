"""What is forked is as a new interpreter, but for the packages that it has imported already."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from conformance.selftest.forking.interpreter import interpreter, interpreter_of_new

SHOWS = """
import os, signal, sys, threading, warnings
print(__name__, sys.argv, sys.path, sys.warnoptions, sys.dont_write_bytecode, os.getcwd(), sys.stdin.read())
print(sys.stdout.encoding, sys.stdout.errors, sys.stderr.errors, sys.stdout.isatty(), sys.stdout.write_through)
print(sorted(name for name in os.environ if name != "TORCHINDUCTOR_CACHE_DIR"), os.environ["GIVEN"])
print(signal.getsignal(signal.SIGINT), threading.active_count(), sys.flags.optimize)
print("to stderr", file=sys.stderr)
"""
WARM = "import sys; print('torch' in sys.modules)"


def ran(executable: str, *arguments: str, at: Path | None = None, **variables: str) -> tuple[int, str, str]:
    """The exit status, and what was printed."""
    done = subprocess.run(
        [executable, *arguments],
        cwd=at,
        env={**os.environ, "GIVEN": "to it", **variables},
        input="typed",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", SHOWS, "a", "b c"),
        ("-u", "-c", SHOWS),
        ("-P", "-W", "ignore", "-B", "-c", SHOWS),
        ("-m", "shown", "x"),
        ("-O", "-c", SHOWS),
        ("-c", "import sys; sys.exit(3)"),
        ("-c", "import sys; sys.exit('a sentence')"),
        ("-c", "import os; os.kill(os.getpid(), 9)"),
        ("-c", "import atexit; atexit.register(print, 'at the end'); print('before')"),
        ("-c", "import threading, time; threading.Timer(0.1, lambda: print('a thread ends first')).start()"),
        ("-c", "raise SystemExit"),
        ("-c", "open('/dev/full', 'w').write('x')"),
    ],
    ids=range(12),
)
def test_it_does_what_a_new_one_does(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "shown.py").write_text(SHOWS)
    assert ran(interpreter(), *arguments, at=tmp_path) == ran(sys.executable, *arguments, at=tmp_path)


def test_an_exception_ends_it_with_status_1_and_is_shown() -> None:
    status, out, errors = ran(interpreter(), "-c", "raise KeyError('nothing')")
    assert (status, out, errors.splitlines()[-1]) == (1, "", "KeyError: 'nothing'")


def test_an_output_that_is_closed_is_none() -> None:
    command = ["sh", "-c", '"$@" >&-', "sh", interpreter(), "-c", "import sys; sys.exit(7 * (sys.stdout is None))"]
    assert subprocess.run(command, check=False).returncode == 7


def test_an_output_without_room_is_status_120() -> None:
    with open("/dev/full", "w") as full:
        assert (
            subprocess.run([interpreter(), "-c", "print(1)"], stdout=full, stderr=full, check=False).returncode == 120
        )


def test_it_has_imported_others_packages_and_none_of_this_one() -> None:
    code = "import sys; print({'torch', 'transformers'} <= set(sys.modules), *sys.modules)"
    _, out, _ = ran(interpreter(), "-c", code)
    first, *modules = out.split()
    assert first == "True"
    assert not {name.partition(".")[0] for name in modules} & {"pytest_steering", "conformance", "fixtures"}


@pytest.mark.parametrize(
    ("options", "variables"),
    [(("-O",), {}), ((), {"PYTHONHASHSEED": "7"}), ((), {"HF_HUB_OFFLINE": "1"}), (("-X", "dev"), {})],
)
def test_what_would_have_changed_an_import_gets_a_new_one(options: tuple[str, ...], variables: dict[str, str]) -> None:
    assert ran(interpreter(), "-c", WARM)[1] == "True\n"
    assert ran(interpreter(), *options, "-c", WARM, at=None, **variables)[1] == "False\n"


def test_what_it_starts_in_turn_is_forked_too_or_new() -> None:
    code = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {WARM!r}]).returncode)"
    assert ran(interpreter(), "-c", code)[1] == "True\n"
    assert ran(interpreter_of_new(), "-c", code)[1] == "False\n"
    assert ran(interpreter_of_new(), "-c", WARM)[1] == "True\n"


def test_no_two_draw_the_same_numbers() -> None:
    code = "import random, numpy; print(random.random(), numpy.random.rand())"
    numbers = [number for _ in range(2) for number in ran(interpreter(), "-c", code)[1].split()]
    assert len(set(numbers)) == 4


def waiting() -> tuple[subprocess.Popen[str], psutil.Process]:
    """A command that waits for ages, and the process that it runs in."""
    # A shell's background job is not interrupted, nor what it starts.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heard}; import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    process = subprocess.Popen([interpreter(), "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, psutil.Process(int(process.stdout.readline()))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_it(sent: signal.Signals) -> None:
    process, child = waiting()
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    child.wait(timeout=60)
    assert process.returncode == -sent
    assert ("KeyboardInterrupt" in errors) == (sent == signal.SIGINT)
