"""How a failure reads: what is required, what was measured, the likely cause, the command that repeats it."""

from __future__ import annotations

import os
import re
import shlex
from types import TracebackType

import pytest

from pytest_steering.errors import Violation, printable, text_of
from pytest_steering.plugin.items import Pairing
from pytest_steering.plugin.options import GIVEN, settings_of
from pytest_steering.plugin.repeating import ALONE, Repeats
from pytest_steering.suite.catalogue import Requirement
from pytest_steering.targets.ranks import ranks_started

LONGEST = 16
"""Lines of a program that are shown on the terminal."""

_LIBRARIES = re.compile(r"[/\\](torch|transformers|_pytest|pluggy|contextlib\.py|hypothesis|pytest_steering)([/\\]|$)")


def violation_text(
    item: pytest.Item, pairing: Pairing, requirement: Requirement, violation: Violation, again: Repeats = ALONE
) -> str:
    """The lines of a requirement that is not met."""
    place = f"{pairing}, {violation.where}" if violation.where else str(pairing)
    lines = [f"{requirement.id}: {requirement.sentence}", f"  {place}: {one_line(violation.detail)}"]
    if violation.likely is not None:
        lines.append(f"  likely: {violation.likely}")
    lines.append(f"  rerun: {rerun(item, pairing, again)}")
    if program := program_of(item, pairing, violation):
        shown = program.splitlines()
        lines += ["  as a program:", *(f"    {line}".rstrip() for line in shown[:LONGEST])]
        if len(shown) > LONGEST:
            lines.append(f"    … {len(shown) - LONGEST} more lines: --steering-report has them")
    return "\n".join(lines)


def program_of(item: pytest.Item, pairing: Pairing, violation: Violation) -> str:
    """The shortest program that shows the violation; empty where there is none."""
    settings = settings_of(item.config)
    if violation.program is None or settings.parallel or pairing.spec in item.config.stash.get(GIVEN, {}):
        return ""
    return violation.program(pairing.adapter or "hooks", **settings.loading)


def error_text(
    item: pytest.Item, pairing: Pairing, requirement: Requirement, error: BaseException, again: Repeats = ALONE
) -> str:
    """The three lines of a requirement that could not be judged, because something raised."""
    return "\n".join(
        [
            f"{requirement.id}: {requirement.sentence}",
            f"  {pairing}: {cause(item.config, error)}",
            f"  rerun: {rerun(item, pairing, again)}",
        ]
    )


def cause(config: pytest.Config, error: BaseException) -> str:
    """An exception in one line, with the place in the user's own code where it was raised."""
    message = one_line(text_of(error))
    kind = "" if isinstance(error, pytest.fail.Exception) else type(error).__name__
    place = raised_at(config, error.__traceback__)
    said = ": ".join(part for part in (kind, message) if part)
    return f"{said} ({place})" if place else said


def raised_at(config: pytest.Config, traceback: TracebackType | None) -> str:
    """``file:line`` of the innermost frame that is in no library; of the innermost one when all are."""
    places: list[tuple[str, int]] = []
    while traceback is not None:
        places.append((traceback.tb_frame.f_code.co_filename, traceback.tb_lineno))
        traceback = traceback.tb_next
    if not places:
        return ""
    own = [place for place in places if not _LIBRARIES.search(place[0]) and not place[0].startswith("<")]
    path, line = (own or places)[-1]
    here = config.invocation_params.dir
    return f"{os.path.relpath(path, here) if path.startswith(str(here)) else path}:{line}"


def rerun(item: pytest.Item, pairing: Pairing, again: Repeats = ALONE) -> str:
    """The command that repeats one test on one model under one adapter, with what must run before it."""
    settings = settings_of(item.config)
    words = ["torchrun", f"--nproc-per-node={ranks_started()}", "-m"] if settings.parallel else []
    words += ["pytest", f"--steering-model={pairing.spec}"] if pairing.spec else ["pytest"]
    nodeids = again.nodeids(item)
    if pairing.adapter:
        defaults = settings.default_engines if pairing.engine else settings.default_adapters
        if (pairing.adapter,) != defaults:
            words.append(f"--steering-{'engine' if pairing.engine else 'adapter'}={pairing.adapter}")
        if len(settings.engines if pairing.engine else settings.adapters) > 1:
            named = f"[{pairing.spec}-{pairing.adapter}"
            nodeids = [nodeid.replace(named, f"[{pairing.spec}", 1) for nodeid in nodeids]
    for name, value in settings.loading.items():
        words.append(f"--steering-{name.replace('_', '-')}" + ("" if value is True else f"={value}"))
    quoted = [shlex.quote(nodeid) if re.search(r'["$`\\!]', nodeid) else f'"{nodeid}"' for nodeid in nodeids]
    return " ".join([*map(shlex.quote, words), *quoted])


def one_line(text: str) -> str:
    """Text with its line breaks and runs of blanks folded into one blank each, and nothing that a terminal obeys."""
    return printable(" ".join(text.split()))
