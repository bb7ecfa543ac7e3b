"""What cannot be meant is refused before anything runs: exit status 4 and one sentence."""

from __future__ import annotations

import difflib
import math
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_steering.adapters.registry import find_factory
from pytest_steering.errors import SpecError, one_line, printable
from pytest_steering.plugin.limit import LONGEST
from pytest_steering.plugin.options import INI, Settings, misspelt
from pytest_steering.suite.catalogue import PROFILES, Asked, catalogue, versions
from pytest_steering.targets.devices import parse_device, parse_dtype
from pytest_steering.targets.patterns import expanded
from pytest_steering.targets.spec import check_spec

_BENCHMARKS = (
    "benchmark_autosave",
    "benchmark_save",
    "benchmark_save_data",
    "benchmark_compare",
    "benchmark_compare_fail",
)
"""Options of pytest-benchmark that ask for something to be kept or compared."""
_MARKER_CALL = re.compile(r"steering_requirement\s*\(([^)]*)\)")
_MARKER_ID = re.compile(r"""\bid\s*=\s*(?:'([^']*)'|"([^"]*)")""")


def check_usage(config: pytest.Config, settings: Settings) -> Settings:
    """The settings with every pattern expanded: all of it can be meant, or ``pytest.UsageError`` says what cannot."""
    try:
        _check_settings(misspelt(config))
        parse_known_failures(settings.known_failures)
        _check_selection(config.option.markexpr or "")
        _check_reports(config.invocation_params.dir, settings)
        _check_asked(settings.asked)
        if not 0 <= settings.fuzz < math.inf:
            raise SpecError(f"--steering-fuzz={settings.fuzz:g} is no number of minutes: give one that is 0 or more")
        if not 0 <= settings.timeout <= LONGEST:
            raise SpecError(
                f"--steering-timeout={settings.timeout:g} is no number of seconds from 0 (no limit) to {LONGEST:g}: "
                "give one, for example 600"
            )
        _check_benchmarks(config)
        if settings.device is not None:
            parse_device(settings.device)
        if settings.dtype is not None:
            parse_dtype(settings.dtype)
        if any(spec.is_pattern for spec in settings.specs):
            settings = replace(settings, specs=expanded(settings.specs))
        for spec in settings.specs:
            check_spec(spec)
        for adapter in settings.adapters:
            find_factory(adapter, settings.provided)
    except SpecError as error:
        raise pytest.UsageError(printable(" ".join(str(error).split()))) from error
    return settings


def _check_benchmarks(config: pytest.Config) -> None:
    """Under pytest-xdist pytest-benchmark does nothing and says nothing."""
    if getattr(config.option, "dist", "no") == "no" and not getattr(config.option, "numprocesses", None):
        return
    asked = [name for name in _BENCHMARKS if getattr(config.option, name, None)]
    if asked:
        raise SpecError(
            f"--{asked[0].replace('_', '-')} does nothing under -n, where pytest-benchmark is off: "
            "run the hot path without it, as in pytest --steering-model=SPEC -k hot_path"
        )


def _check_settings(unknown: list[str]) -> None:
    for name in unknown:
        known = [setting.removeprefix("steering_") for setting in INI]
        close = difflib.get_close_matches(name.removeprefix("steering_"), known, n=1)
        hint = f"did you mean steering_{close[0]}?" if close else f"known are {', '.join(INI)}"
        raise SpecError(f"there is no setting {name}: {hint}")


def parse_known_failures(lines: tuple[str, ...]) -> dict[str, str]:
    """The reason of each requirement that is known to fail; ``SpecError`` for a line that cannot be meant."""
    known: dict[str, str] = {}
    for line in lines:
        name, colon, reason = (part.strip() for part in line.partition(":"))
        if not (colon and name and reason):
            raise SpecError(f'steering_known_failures: {line!r} is not of the form "requirement-id: reason"')
        _check_requirement(name, "steering_known_failures")
        if name in known:
            raise SpecError(f"steering_known_failures: {name!r} is listed twice")
        known[name] = reason
    return known


def _check_selection(expression: str) -> None:
    for call in _MARKER_CALL.finditer(expression):
        if pytest.version_tuple < (8, 3):
            raise SpecError(
                f"-m: pytest {pytest.__version__} cannot select by what a marker is given; update it to 8.3 or newer, "
                "or select by name with -k"
            )
        for single, double in _MARKER_ID.findall(call[1]):
            _check_requirement(single or double, "-m")


def _check_requirement(name: str, source: str) -> None:
    known: Mapping[str, object] = catalogue()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise SpecError(f"{source}: there is no requirement {name!r}{hint}")


def _check_asked(asked: Asked) -> None:
    if asked.version not in versions():
        raise SpecError(f"--steering-suite: there is no version {asked.version!r}: known are {', '.join(versions())}")
    if asked.profile not in PROFILES:
        raise SpecError(f"--steering-profile: there is no profile {asked.profile!r}: known are {', '.join(PROFILES)}")


def _check_reports(here: Path, settings: Settings) -> None:
    if settings.reports and not settings.in_use:
        raise SpecError("--steering-report has nothing to report on: name a model with --steering-model=SPEC")
    for text in settings.reports:
        try:
            _check_report(here / text, text)
        except (OSError, ValueError) as error:  # too long, or holding what no path holds
            reason = (isinstance(error, OSError) and error.strerror) or one_line(error, kind=False)
            raise SpecError(f"--steering-report={text} cannot be written: {reason}") from error


def _check_report(path: Path, text: str) -> None:
    if path.suffix != ".json":
        raise SpecError(f"--steering-report={text}: reports are .json files")
    if path.is_dir():
        raise SpecError(f"--steering-report={text} is a directory")
    if not path.parent.is_dir():
        raise SpecError(f"--steering-report={text}: there is no directory {os.path.dirname(text) or '.'}")
    # Under the longest name that it will have on the way: a name may be too long for the disk.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"):
        pass
