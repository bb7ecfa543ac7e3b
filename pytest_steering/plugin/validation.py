"""What cannot be meant is refused before anything runs: exit status 4 and one sentence."""

from __future__ import annotations

import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_steering.adapters.registry import find_factory, look_up_adapter
from pytest_steering.engines.registry import find_engine, look_up_engine
from pytest_steering.errors import SpecError, one_line, printable
from pytest_steering.plugin.baselines import GATE, gate_of
from pytest_steering.plugin.command_line import INI
from pytest_steering.plugin.known_failures import parse_known_failures
from pytest_steering.plugin.limit import LONGEST
from pytest_steering.plugin.options import Settings, misspelt
from pytest_steering.plugin.ranks import check_ranks
from pytest_steering.plugin.selections import check_selection
from pytest_steering.report.files import KINDS
from pytest_steering.suggesting import meant
from pytest_steering.suite.catalogue import PROFILES, Asked, versions
from pytest_steering.targets.devices import check_dtype, parse_device, read_device_map
from pytest_steering.targets.patterns import expanded
from pytest_steering.targets.spec import SpecKind, check_spec

_BENCHMARKS = (
    "benchmark_autosave",
    "benchmark_save",
    "benchmark_save_data",
    "benchmark_compare",
    "benchmark_compare_fail",
)
"""Options of pytest-benchmark that ask for something to be kept or compared."""
_IMPORTING = (SpecKind.TINY, SpecKind.CALLABLE)
"""Specs of which something is imported to check them."""


def check_usage(config: pytest.Config, settings: Settings) -> Settings:
    """The settings with every pattern expanded: all of it can be meant, or ``pytest.UsageError`` says what cannot."""
    try:
        _check_settings(misspelt(config))
        parse_known_failures(settings.known_failures)
        check_selection(config)
        _check_reports(config.invocation_params.dir, settings)
        _check_bundle(config.invocation_params.dir, settings)
        _check_asked(settings.asked)
        if not 0 <= settings.fuzz < math.inf:
            raise SpecError(f"--steering-fuzz={settings.fuzz:g} is no number of minutes: give one that is 0 or more")
        if not 0 <= settings.timeout <= LONGEST:
            raise SpecError(
                f"--steering-timeout={settings.timeout:g} is no number of seconds from 0 (no limit) to {LONGEST:g}: "
                "give one, for example 600"
            )
        _check_benchmarks(config)
        # What can be told without importing anything is told first: torch takes seconds.
        for adapter in settings.adapters:
            look_up_adapter(adapter, settings.provided)
        for engine in settings.engines:
            look_up_engine(engine)
        if settings.dtype is not None:
            check_dtype(settings.dtype)
        if settings.device_map is not None:
            if settings.device is not None:
                raise SpecError(
                    "--steering-device and --steering-device-map both say where the model goes: give one of them"
                )
            read_device_map(settings.device_map)
        check_ranks(config, settings)
        if any(spec.is_pattern for spec in settings.specs):
            settings = replace(settings, specs=expanded(settings.specs))
        config.stash[GATE] = gate_of(config.invocation_params.dir, settings)
        for spec in sorted(settings.specs, key=lambda spec: spec.kind in _IMPORTING):
            check_spec(spec)
        if settings.device is not None:
            parse_device(settings.device)
        if settings.device_map is not None:
            from pytest_steering.targets.placing import check_placing  # noqa: PLC0415 (it imports torch)

            for spec in settings.specs:
                check_placing(spec, settings.device_map, trust_remote_code=settings.trust_remote_code)
        for adapter in settings.adapters:
            find_factory(adapter, settings.provided)
        for engine in settings.engines:
            find_engine(engine)
            if settings.judges_adapters and engine in settings.adapters:
                raise SpecError(f"{engine!r} names an adapter and an engine: judge them in two runs")
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
        otherwise = f"known are {', '.join(INI)}"
        hint = meant(name.removeprefix("steering_"), known, "steering_{}".format, lead="", otherwise=otherwise)
        raise SpecError(f"there is no setting {name}: {hint}")


def _check_asked(asked: Asked) -> None:
    if asked.version not in versions():
        raise SpecError(f"--steering-suite: there is no version {asked.version!r}: known are {', '.join(versions())}")
    if asked.profile not in PROFILES:
        raise SpecError(f"--steering-profile: there is no profile {asked.profile!r}: known are {', '.join(PROFILES)}")


def _check_bundle(here: Path, settings: Settings) -> None:
    if not settings.bundle:
        return
    if not settings.in_use:
        raise SpecError("--steering-bundle has nothing to judge: name a model with --steering-model=SPEC")
    path = here / settings.bundle
    if path.exists() and not path.is_dir():
        raise SpecError(f"--steering-bundle={settings.bundle} is a file: name a directory")
    parent = next(each for each in (path, *path.parents) if each.exists())
    if not os.access(parent, os.W_OK):
        raise SpecError(f"--steering-bundle={settings.bundle} cannot be written to")


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
    if not text.endswith(KINDS):
        raise SpecError(f"--steering-report={text}: reports are {', '.join(KINDS[:-1])} or {KINDS[-1]} files")
    if path.is_dir():
        raise SpecError(f"--steering-report={text} is a directory")
    if not path.parent.is_dir():
        raise SpecError(f"--steering-report={text}: there is no directory {os.path.dirname(text) or '.'}")
    # Under the longest name that it will have on the way: a name may be too long for the disk.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"):
        pass
