"""A project that has the plugin and does not use it pays nothing."""

from __future__ import annotations

import subprocess
import sys

from conformance.selftest.desk import Desk

PROBE = """
import sys

def test_nothing_heavy_is_imported():
    assert not {"torch", "transformers", "numpy", "hypothesis.strategies", "nnsight"} & set(sys.modules)

def test_no_fixture_is_forced_on_a_test(request):
    assert not [name for name in request.fixturenames if "steering" in name]

def test_only_what_hooks_need_is_imported():
    rooms = {name.partition(".")[2] for name in sys.modules if name.startswith("pytest_steering.")}
    hooks = {name for name in rooms if name.startswith("plugin.")}
    expected = {"cases", "collection", "command_line", "engines", "fixtures", "hookspecs", "items", "needs"}
    expected |= {"options", "running"}
    assert hooks == {f"plugin.{name}" for name in expected}, hooks
    assert not {"report", "survey", "evaluation", "conformance"} & rooms, rooms
"""


def test_nothing_is_imported_and_nothing_is_said(desk: Desk) -> None:
    desk.write(test_probe=PROBE)
    result = desk.run_anew("test_probe.py")
    assert result.parseoutcomes() == {"passed": 3}, result.stdout.str()
    said = [line for line in result.outlines if "steering" in line and not line.startswith(("plugins:", "rootdir:"))]
    assert said == []


def test_help_and_markers_say_what_there_is(desk: Desk) -> None:
    options = desk.run("--help")
    options.stdout.fnmatch_lines(["activation steering:", "*--steering-model=SPEC*", "*--steering-baseline=FILE*"])
    desk.run("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.steering_model(*", "@pytest.mark.steering_requirement(id, needs, since, core): *"]
    )


def test_the_plugin_is_imported_quickly() -> None:
    code = "import time, pytest; t = time.process_time(); import pytest_steering.plugin; print(time.process_time() - t)"
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
        for _ in range(3)
    )
    assert seconds < 0.25, f"importing the plugin takes {seconds * 1000:.0f} ms; aim at 20"
