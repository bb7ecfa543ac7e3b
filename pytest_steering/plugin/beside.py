"""What lies in a checkpoint is data: nothing of it runs because pytest was started in its directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_steering.importing import working_directory_last
from pytest_steering.plugin.options import parsed
from pytest_steering.targets.spec import SpecKind

_TELLING = ("config.json", "adapter_config.json")
"""What is found in a checkpoint."""


def keep_code_out(config: pytest.Config) -> None:
    """Where the working directory lies in a checkpoint that is named, no code of it runs from now on.

    ``pytest.UsageError`` for a conftest.py or an ini file of the checkpoint: the one pytest would run, and the other
    decides what is judged.
    """
    options = config.known_args_namespace
    if options.steering_trust_remote_code:
        return
    here = Path(os.path.realpath(config.invocation_params.dir))
    around = [(text, directory) for text, directory in _checkpoints(config) if here.is_relative_to(directory)]
    for text, directory in around:
        for path in _read_by_pytest(config, directory, here):
            does = "run" if path.suffix == ".py" else "obey"
            raise pytest.UsageError(
                f"{text}: pytest would {does} {path.name}, which lies in the checkpoint; start pytest in another "
                "directory, or pass --steering-trust-remote-code"
            )
    if around:
        stack = ExitStack()
        stack.enter_context(working_directory_last())
        config.add_cleanup(stack.close)


def _checkpoints(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """Each model spec that names a checkpoint's directory, with the directory."""
    for spec in parsed(config.known_args_namespace.steering_model or config.getini("steering_models")):
        if spec.kind in (SpecKind.DIRECTORY, SpecKind.CONFIG) and "\0" not in spec.value:
            try:
                path = Path(os.path.realpath(config.invocation_params.dir / os.path.expanduser(spec.value)))
                directory = path if path.is_dir() else path.parent
                holds = any((directory / name).is_file() for name in _TELLING)
            except OSError:  # longer than a path may be: it is refused where it is looked at
                continue
            if holds:
                yield spec.text, directory


def _read_by_pytest(config: pytest.Config, directory: Path, here: Path) -> Iterator[Path]:
    """The files in ``directory`` that pytest reads before any plugin is asked: its settings, and a conftest.py here,
    above, or in a folder of tests."""
    found = [config.inipath] if config.inipath else []
    if not config.known_args_namespace.noconftest:
        found += [place / "conftest.py" for place in (here, *here.parents)]
        found += here.glob("test*/conftest.py")
    for path in found:
        if path.is_file() and Path(os.path.realpath(path)).is_relative_to(directory):
            yield path
