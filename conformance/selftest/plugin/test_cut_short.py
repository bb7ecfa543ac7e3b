"""A run that is cut short, or in which tests run again, says so; its exit status is what its verdict says."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from conformance.selftest.desk import BAD, FEW, MODEL, RIGHT, Desk
from conformance.selftest.forking.interpreter import interpreter

SLOW = """
import time
from contextlib import contextmanager
from pathlib import Path

from my_steering import Right


class Slow(Right):
    blocks = 0

    @contextmanager
    def steer(self, plan):
        Slow.blocks += 1
        if Slow.blocks > 6:
            Path("waiting").touch()
            time.sleep(60)
        with super().steer(plan) as steered:
            yield steered
"""


# Shells start what runs in the background with SIGINT ignored, and a child inherits that from the tests.
INTERRUPTED = """
import signal, sys
import pytest
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=" ".join)
def test_ctrl_c_leaves_a_report_that_says_so(desk: Desk, workers: tuple[str, ...]) -> None:
    desk.write(slow=SLOW)
    options = [MODEL, "--steering-adapter=slow:Slow", *FEW, "--steering-report=r.json", *workers]
    process = subprocess.Popen(
        [interpreter(), "-c", INTERRUPTED, *options], cwd=desk.path, stdout=subprocess.PIPE, text=True
    )
    while not (desk.path / "waiting").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 2
    document = desk.report("r.json")
    assert document["complete"] is False
    assert {entry["id"] for entry in document["models"][0]["requirements"]} == {"layers-found", "exact-delta"}


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=" ".join)
@pytest.mark.parametrize("option", ["-x", "--maxfail=2"])
def test_the_first_failures_end_it_with_status_1(desk: Desk, workers: tuple[str, ...], option: str) -> None:
    result = desk.run(MODEL, BAD, *FEW, option, *workers, "--steering-report=r.json")
    assert result.ret == 1
    assert desk.report("r.json")["models"][0]["verdict"] == "fails"


def test_a_whole_report_says_so(desk: Desk) -> None:
    assert desk.run(MODEL, RIGHT, *FEW, "--steering-report=r.json").ret == 0
    assert desk.report("r.json")["complete"] is True


AGAIN = """
from _pytest.runner import runtestprotocol


class Again:
    def pytest_runtest_protocol(self, item, nextitem):
        '''As pytest-rerunfailures does: a test that fails runs a second time, and the first is told as a rerun.'''
        for last in (False, True):
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            failed = any(report.failed for report in reports)
            for report in reports:
                if report.failed and not last:
                    report.outcome = "rerun"
                item.ihook.pytest_runtest_logreport(report=report)
            if not failed:
                break
        return True


def pytest_configure(config):
    config.pluginmanager.register(Again())
"""
FLAKY = """
from my_steering import FirstRowOnly, Right


class Flaky(Right):
    rows = 0

    def add(self, residual, delta, plan):
        Flaky.rows += 1
        return FirstRowOnly.add(self, residual, delta, plan) if Flaky.rows == 1 else super().add(residual, delta, plan)
"""


def test_what_fails_once_has_failed(desk: Desk) -> None:
    desk.write(conftest=AGAIN, flaky=FLAKY)
    result = desk.run(MODEL, "--steering-adapter=flaky:Flaky", "-k", "every_row")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["my_models:a with Flaky: fails *"])


@pytest.mark.parametrize("option", ["--benchmark-autosave", "--benchmark-compare-fail=mean:5%", "--benchmark-save=x"])
def test_benchmarks_that_would_not_run_are_refused(desk: Desk, option: str) -> None:
    done = subprocess.run(
        [interpreter(), "-m", "pytest", MODEL, RIGHT, *FEW, option, "-n1"],
        cwd=desk.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "does nothing under -n, where pytest-benchmark is off" in done.stderr


@pytest.mark.parametrize(("adapter", "status"), [(RIGHT, 0), (BAD, 1)])
def test_without_a_terminal_or_with_a_closed_output_all_is_judged(desk: Desk, adapter: str, status: int) -> None:
    command = [interpreter(), "-m", "pytest", MODEL, adapter, *FEW]
    for extra in (["-p", "no:terminal"], []):
        name = f"{len(extra)}.json"
        said = subprocess.run(
            ["sh", "-c", '"$@" >&-', "sh", *command, *extra, f"--steering-report={name}"],
            cwd=desk.path,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert said.returncode == status, said.stderr
        assert desk.report(name)["models"][0]["verdict"] == ("fails" if status else "conforms")


TWO_VERDICTS = "import pytest, sys; print(*[int(pytest.main([*sys.argv[2:], each])) for each in sys.argv[1].split()])"


@pytest.mark.slow
def test_python_that_drops_assertions_judges_the_same(desk: Desk) -> None:
    command = [sys.executable, "-O", "-c", TWO_VERDICTS, f"{RIGHT} {BAD}", MODEL, *FEW]
    done = subprocess.run(command, cwd=desk.path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 1"
