"""What cannot be meant is refused before anything runs: exit status 4 and one sentence."""

from __future__ import annotations

import difflib
import math
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_steering.adapters.registry import find_factory
from pytest_steering.errors import SpecError
from pytest_steering.plugin.options import INI, Settings, misspelt
from pytest_steering.plugin.selections import check_selection
from pytest_steering.suite.catalogue import PROFILES, Asked, catalogue, versions
from pytest_steering.targets.devices import parse_device, parse_dtype
from pytest_steering.targets.patterns import expanded
from pytest_steering.targets.spec import check_spec


def check_usage(config: pytest.Config, settings: Settings) -> Settings:
    """The settings with every pattern expanded: all of it can be meant, or ``pytest.UsageError`` says what cannot."""
    try:
        _check_settings(misspelt(config))
        parse_known_failures(settings.known_failures)
        check_selection(config)
        _check_reports(config.invocation_params.dir, settings)
        _check_asked(settings.asked)
        if not 0 <= settings.fuzz < math.inf:
            raise SpecError(f"--steering-fuzz={settings.fuzz:g} is no number of minutes: give one that is 0 or more")
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
        raise pytest.UsageError(" ".join(str(error).split())) from error
    return settings


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


def _check_requirement(name: str, source: str) -> None:
    if name not in catalogue():
        raise SpecError(f"{source}: there is no requirement {name!r}{_close(name, catalogue())}")


def _close(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else ""


def _check_asked(asked: Asked) -> None:
    if asked.version not in versions():
        raise SpecError(f"--steering-suite: there is no version {asked.version!r}: known are {', '.join(versions())}")
    if asked.profile not in PROFILES:
        raise SpecError(f"--steering-profile: there is no profile {asked.profile!r}: known are {', '.join(PROFILES)}")


def _check_reports(here: Path, settings: Settings) -> None:
    if settings.reports and not settings.in_use:
        raise SpecError("--steering-report has nothing to report on: name a model with --steering-model=SPEC")
    for text in settings.reports:
        path = here / text
        if path.suffix != ".json":
            raise SpecError(f"--steering-report={text}: reports are .json files")
        if path.is_dir():
            raise SpecError(f"--steering-report={text} is a directory")
        if not path.parent.is_dir():
            raise SpecError(f"--steering-report={text}: there is no directory {os.path.dirname(text) or '.'}")
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise SpecError(f"--steering-report={text} cannot be written: {error.strerror}") from error
