"""A run of several ranks: what is asked of each, how a test ends on all of them, and which of them speaks."""

# Without ranks nothing of this is imported but for the names of the ways.

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from pytest_steering.errors import SpecError, Violation, text_of
from pytest_steering.oracle.applicability import NotApplicable
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.plugin.failures import one_line
from pytest_steering.suggesting import meant
from pytest_steering.targets.ranks import WAYS, OutOfStep, RankGone, Ranks, ranks_started, this_rank
from pytest_steering.targets.spec import SpecKind

if TYPE_CHECKING:
    from pytest_steering.plugin.options import Settings

_START = "torchrun --nproc-per-node=2 -m pytest"


def check_ranks(config: pytest.Config, settings: Settings) -> None:
    """What this run asks can be asked of ranks, and is where it is one of several; ``SpecError`` otherwise."""
    started = ranks_started()
    way = settings.parallel
    if way is None:
        if settings.in_use and started > 1:
            raise SpecError(
                f"this run is one of {started} that torchrun has started, and each would judge the same: say how they "
                f"share the model (--steering-parallel={' or '.join(WAYS)}), or start one"
            )
        return
    if way not in WAYS:
        hint = meant(way, WAYS, otherwise=f"known are {', '.join(WAYS)}")
        raise SpecError(f"--steering-parallel: there is no way {way!r}{hint}")
    if started < 2:
        raise SpecError(
            f"--steering-parallel={way} spreads the model over processes, and this is one alone: "
            f"start several by {_START} --steering-parallel={way} …"
        )
    workers = getattr(config.option, "dist", "no") != "no" or getattr(config.option, "numprocesses", None)
    for given, option, why in (
        (settings.device_map, "--steering-device-map", "both say where the model goes"),
        (settings.device not in (None, "cpu"), "--steering-device", "the ranks meet on the CPU (gloo)"),
        (workers, "-n", "workers of pytest-xdist are no ranks"),
        (settings.engines, "--steering-engine", "an engine runs a checkpoint by itself"),
        (settings.fuzz, "--steering-fuzz", "each rank would look at its own clock"),
        (settings.bundle, "--steering-bundle", "no script of one process shows a failure of several"),
    ):
        if given:
            raise SpecError(f"--steering-parallel={way} does not go together with {option}: {why}; leave one out")
    for spec in settings.specs:
        if spec.kind is SpecKind.CONFIG:
            raise SpecError(f"{spec.text} has shapes and no weights to spread: leave out --steering-parallel")


def keep_quiet() -> None:
    """The first rank alone is heard: another says nothing but errors."""
    if this_rank():
        sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def begin(config: pytest.Config, settings: Settings) -> Settings:
    """The ranks of this run have met; those that do not speak write no report and compare nothing either."""
    try:
        ranks = Ranks.begin(settings.timeout)
    except RankGone as error:
        raise pytest.UsageError(str(error)) from error

    def close() -> None:
        with contextlib.suppress(ValueError, OSError):
            sys.stdout.flush()
        ranks.close()

    config.add_cleanup(close)
    if ranks.rank == 0:
        return settings
    return replace(settings, reports=(), baselines=(), update_baseline=False)


@dataclass(frozen=True)
class _End:
    """How a part of a test has ended on one rank."""

    kind: str
    """``passed``, ``failed``, ``not applicable``, or ``out of step`` with one that has failed."""
    text: str = ""
    where: str = ""
    cause: str = ""
    detail: str = ""


def agree(call: pytest.CallInfo[None]) -> None:
    """A part of a test that fails on one rank fails on all, and they go on in step."""
    ranks = Ranks.current
    if ranks is None:
        return
    error = call.excinfo.value if call.excinfo is not None else None
    own = _end_of(error)
    try:
        ends = ranks.at_end(own)
    except RankGone as gone:
        pytest.exit(str(gone), returncode=pytest.ExitCode.INTERNAL_ERROR)
    kinds = [end.kind for end in ends]
    if len(set(kinds)) == 1 and kinds[0] != "out of step":
        return
    failed = [rank for rank, kind in enumerate(kinds) if kind == "failed"]
    if own.kind == "failed":
        if isinstance(error, Violation):
            error.detail += f" (on {_named(failed)} of {ranks.world})"
        return
    try:
        raise _instead(ends, failed)
    except Violation:
        call.excinfo = pytest.ExceptionInfo.from_current()


def _end_of(error: BaseException | None) -> _End:
    if error is None:
        return _End("passed")
    if any(isinstance(each, OutOfStep) for each in _behind(error)):
        return _End("out of step", text_of(error))
    if isinstance(error, NotApplicable):
        return _End("not applicable", text_of(error))
    if isinstance(error, Violation):
        likely = error.likely
        return _End(
            "failed",
            error.detail,
            error.where,
            likely.cause.value if likely is not None else "",
            likely.detail if likely is not None else "",
        )
    return _End("failed", one_line(f"{type(error).__name__}: {text_of(error)}"))


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those that it was raised for."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _instead(ends: list[_End], failed: list[int]) -> Violation:
    """What a rank fails with on which nothing failed."""
    if not failed:
        said = "; ".join(f"rank {rank}: {end.kind} {end.text}".rstrip() for rank, end in enumerate(ends))
        return Violation(f"the ranks come to different ends: {said}", likely=Diagnosis(Cause.RANKS_APART))
    first = ends[failed[0]]
    likely = next((Diagnosis(cause, first.detail) for cause in Cause if cause == first.cause), None)
    return Violation(f"{first.text} (on {_named(failed)} of {len(ends)})", where=first.where, likely=likely)


def _named(ranks: list[int]) -> str:
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"
