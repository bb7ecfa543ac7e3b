"""``python -m pytest_steering experiment``: run a steering experiment, or go on with one that was stopped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any

from pytest_steering.errors import SpecError, SteeringError
from pytest_steering.evaluation.config import UniversalSteeringConfig, kind_of

STUDY = ("scipy", "statsmodels", "sklearn", "tqdm", "matplotlib")
"""Modules of the extra ``study`` without which an experiment does not run."""

BAD_INPUT = 4
FAILED = 1
INTERRUPTED = 130
"""What shells report of a command that Ctrl-C ended."""

_ONE: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command exist: one for each field of the configuration."""
    for field in fields(UniversalSteeringConfig):
        flags = field.metadata["flags"] or (f"--{field.name.replace('_', '-')}",)
        parser.add_argument(*flags, dest=field.name, **_settings(field))
    parser.add_argument("--quiet", action="store_true", help="Show no progress bar")


def _settings(field: Field[Any]) -> dict[str, Any]:
    """What argparse is told of a field; the default is the configuration's own."""
    (item, several), default, text = kind_of(field), field.default, field.metadata["help"]
    if item == "bool":
        return {"action": "store_const", "const": not default, "default": default, "help": text}
    told = {"metavar": field.metadata["metavar"], "type": _several(_ONE[item]) if several else _ONE[item]}
    if default is MISSING:
        return {**told, "required": True, "help": text}
    if default is not None:
        each = default if several else (default,)
        text += f" (default: {','.join(f'{one:g}' if isinstance(one, float) else str(one) for one in each)})"
    return {**told, "default": default, "help": text}


def _several(one: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """What reads values with commas between them; the name is what a complaint calls them."""

    def values(text: str) -> tuple[Any, ...]:
        return tuple(one(part.strip()) for part in text.split(",") if part.strip())

    values.__name__ = f"{one.__name__} values"
    return values


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """The exit status: 4 for what cannot be meant, 1 for a model or a judge that fails, 130 after Ctrl-C."""
    chosen = {field.name: getattr(options, field.name) for field in fields(UniversalSteeringConfig)}
    experiment: Any = None
    try:
        config = UniversalSteeringConfig(**chosen)
        # torch and the study's packages take seconds to import: a wrong option is told at once.
        from pytest_steering.evaluation.experiment import UniversalSteeringExperiment  # noqa: PLC0415

        experiment = UniversalSteeringExperiment(config)
        finished = experiment.run(progress=not options.quiet)
    except KeyboardInterrupt:
        _complain(_interrupted(experiment, chosen["output_dir"]))
        return INTERRUPTED
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in STUDY:
            raise
        _complain(f"the experiment needs the package {error.name}; run pip install 'pytest-steering[study]'")
        return BAD_INPUT
    except SteeringError as error:
        _complain(" ".join(str(error).split()))
        return BAD_INPUT if isinstance(error, SpecError) else FAILED
    except OSError as error:
        _complain(f"{error.filename or chosen['output_dir']} cannot be written: {error.strerror or error}")
        return FAILED
    say(finished.summary.table())
    say(f"\nwrote {finished.results} and {len(finished.pictures)} pictures in {finished.seconds:.0f} s")
    return 0


def _interrupted(experiment: Any, directory: str) -> str:
    if experiment is None or not experiment.total:
        return "stopped before anything was finished"
    return (
        f"stopped: {experiment.finished} of {experiment.total} parts are finished and kept in {directory}; "
        "run the same command again to go on"
    )


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")
