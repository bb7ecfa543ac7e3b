"""The suite as a function: a verdict on an adapter in a notebook, or in a library's own ``verify``."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import random
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from pytest_steering.adapters.registry import find_factory
from pytest_steering.errors import SpecError
from pytest_steering.oracle.model_state import Snapshot
from pytest_steering.oracle.process_settings import process_settings, put_back
from pytest_steering.plugin.options import CLOSING, GIVEN
from pytest_steering.report import json_report, terminal
from pytest_steering.report.model import Outcome, Record, Row, Verdict
from pytest_steering.suite.catalogue import PROFILES, catalogue, suite_directory
from pytest_steering.targets.spec import check_spec, parse_spec
from pytest_steering.targets.target import Target

if TYPE_CHECKING:
    from pytest_steering.adapters.protocol import Factory

_LEFT_OUT = ("cacheprovider", "faulthandler", "logging", "threadexception", "unraisableexception", "junitxml")
"""Parts of pytest that leave something behind, or look at what is the caller's."""
_SUITE = "conformance"
_LAST = ("last_type", "last_value", "last_traceback", "last_exc")


@dataclass(frozen=True)
class Failure:
    """One test of a requirement that is not met, or that could not be judged."""

    requirement: str
    sentence: str
    """What is true when it is met."""
    params: Mapping[str, str]
    numbers: str
    """What was measured, and where: ``layer 2, scale 1: max |Δ| 5.7e+00 at row 1, position 1; allowed 2 ulp``."""
    cause: str
    """The id of the cause that the numbers point to; empty where there is none."""
    likely: str
    """The same in words."""

    def __str__(self) -> str:
        """As on pytest's terminal."""
        lines = [f"{self.requirement}: {self.sentence}", f"  {self.numbers}"]
        return "\n".join([*lines, f"  likely: {self.likely}"] if self.likely else lines)


class Report:
    """What the suite found of one model under one adapter: ``print`` it, or ask it."""

    def __init__(self, record: Record) -> None:
        """``record`` is that of a run on one model under one adapter."""
        self._record = record
        self._row: Row = record.rows()[0]

    @property
    def ok(self) -> bool:
        """Whether the adapter conforms."""
        return self.verdict is Verdict.CONFORMS

    @property
    def verdict(self) -> Verdict:
        """``conforms``, ``fails``, or ``error`` where nothing can be said."""
        return self._row.verdict

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Every test that failed, in the order of the suite."""
        return tuple(
            Failure(
                each.id,
                catalogue()[each.id].sentence,
                dict(each.params),
                each.reason.removesuffix(f"; likely: {each.likely}"),
                each.cause,
                each.likely,
            )
            for each in self._row.having(Outcome.FAILED, Outcome.ERROR)
        )

    def to_json(self) -> dict[str, Any]:
        """The document that ``--steering-report`` writes."""
        return json_report.as_json(self._record)

    def __str__(self) -> str:
        """The first failure of each requirement, the block, and the verdict, as on pytest's terminal."""
        shown: dict[str, Failure] = {}
        if self.verdict is Verdict.FAILS:
            for failure in self.failures:
                shown.setdefault(failure.requirement, failure)
        return "\n".join([*map(str, shown.values()), *terminal.block(self._row), terminal.verdict(self._row)])

    __repr__ = __str__


def check_adapter(
    model: nn.Module | tuple[nn.Module, Any] | str, adapter: str | Factory, *, profile: str = "core"
) -> Report:
    """What the bundled suite says of ``adapter`` on ``model``: the same as ``pytest --steering-model``.

    ``model`` is a module, (module, tokenizer), or what ``--steering-model`` takes; ``adapter`` a callable
    ``(model, architecture)``, or what ``--steering-adapter`` takes; ``profile`` is ``core`` (seconds) or ``full``.
    The model is judged in eval mode and handed back as it was. Nothing is printed, and pytest's settings and plugins in
    the caller's project have no part in it; nothing else may run in the process meanwhile. Raises ``SpecError`` for
    arguments that cannot be meant; a model or an adapter that cannot be made is a verdict: ``error``.
    """
    if profile not in PROFILES:
        raise SpecError(f"there is no profile {profile!r}: known are {', '.join(PROFILES)}")
    run = _Run(_target(model), _factory(adapter))
    name = run.given.spec if run.given is not None else str(model)
    arguments = [f"--steering-model={name}", f"--steering-adapter={run.adapter}", f"--steering-profile={profile}"]
    with _apart() as (directory, said):
        status = pytest.main([*arguments, *_alone(directory), str(suite_directory())], plugins=[run])
    if status == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if status == pytest.ExitCode.USAGE_ERROR:
        raise SpecError(_last_line(said.getvalue()).removeprefix("ERROR: "))
    if run.record is None or not run.record.rows():
        raise RuntimeError(f"the suite did not run: {_last_line(said.getvalue())}")
    return Report(run.record)


class _Run:
    """A plugin of the run: what it judges goes in, and what was found comes out."""

    def __init__(self, given: Target | None, adapter: tuple[str, Factory | None]) -> None:
        self.given = given
        self.adapter, self._factory = adapter
        self.record: Record | None = None
        self._before = Snapshot(given.model) if given is not None else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """The model is known before its name is read."""
        if self.given is not None:
            self.given.model.eval()
            config.stash[GIVEN] = {self.given.spec: self.given}

    @pytest.hookimpl
    def pytest_steering_adapter(self) -> Mapping[str, Factory]:
        """The adapter under its name."""
        return {self.adapter: self._factory} if self._factory is not None else {}

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Results are gathered where those of every run are."""
        closing: Any = session.config.pluginmanager.get_plugin(CLOSING)
        self.record = closing.record

    def pytest_unconfigure(self) -> None:
        """The caller's model is what it was."""
        if self._before is not None:
            self._before.restore()


def _target(model: object) -> Target | None:
    """A model that is given as an object, under the name of its class; a spec is left to be loaded."""
    if isinstance(model, str):
        check_spec(parse_spec(model))
        if parse_spec(model).is_pattern:
            raise SpecError(f"{model} is a pattern: give one model")
        return None
    module, tokenizer = model if isinstance(model, tuple) and len(model) == 2 else (model, None)
    if not isinstance(module, nn.Module):
        raise SpecError(
            f"the model is of type {type(module).__name__}: give a torch.nn.Module, (module, tokenizer), or a spec"
        )
    return Target(type(module).__name__, module, tokenizer)


def _factory(adapter: object) -> tuple[str, Factory | None]:
    if isinstance(adapter, str):
        find_factory(adapter)
        return adapter, None
    if hasattr(adapter, "steer") and not isinstance(adapter, type):
        raise SpecError(
            f"the adapter is a {type(adapter).__name__} that is made already: give its class, or a function "
            "(model, architecture) that makes one, because requirements make their own"
        )
    if not callable(adapter):
        raise SpecError(
            f"the adapter is of type {type(adapter).__name__}: give a callable (model, architecture), or a name"
        )
    made: Any = adapter
    return str(getattr(made, "__name__", type(made).__name__)), adapter


def _alone(directory: Path) -> Iterator[str]:
    """The options by which pytest reads no setting, plugin or conftest file that is the caller's."""
    (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    yield from (
        "-c",
        str(directory / "pytest.ini"),
        "--rootdir",
        str(directory),
        "--basetemp",
        str(directory / "tests"),
    )
    yield from ("--confcutdir", str(suite_directory()), "--capture=no", "-p", "pytest_steering.plugin")
    for name in _LEFT_OUT:
        yield from ("-p", f"no:{name}")


@contextlib.contextmanager
def _apart() -> Iterator[tuple[Path, io.StringIO]]:
    """A directory for the run and what it says; everything of the process that it changes is put back."""
    said = io.StringIO()
    environment, path, meta_path = dict(os.environ), list(sys.path), list(sys.meta_path)
    modules = _modules()
    last = {name: getattr(sys, name) for name in _LAST if hasattr(sys, name)}
    frozen, settings = gc.get_freeze_count(), process_settings()
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in modules:
        del sys.modules[name]
    try:
        with (
            tempfile.TemporaryDirectory(prefix="pytest-steering-") as directory,
            warnings.catch_warnings(),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
        ):
            yield Path(directory), said
    finally:
        for name in _modules():
            del sys.modules[name]
        sys.modules.update(modules)
        sys.path[:], sys.meta_path[:] = path, meta_path
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        put_back(settings)
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])
        if not frozen:
            gc.unfreeze()
        for name in _LAST:
            vars(sys).pop(name, None)
        vars(sys).update(last)


def _modules() -> dict[str, Any]:
    """The suite's modules, and what else has their name: a caller may have a package of that name."""
    return {name: each for name, each in sys.modules.items() if name.partition(".")[0] == _SUITE}


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no message")
