"""``python -m pytest_steering experiment``: run a steering experiment, or go on with one that was stopped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from pytest_steering.errors import SpecError, SteeringError
from pytest_steering.evaluation.config import UniversalSteeringConfig

STUDY = ("scipy", "statsmodels", "sklearn", "tqdm")
"""Modules of the extra ``study`` without which an experiment does not run."""

BAD_INPUT = 4
FAILED = 1
INTERRUPTED = 130
"""What shells report of a command that Ctrl-C ended."""

_DEFAULTS: dict[str, Any] = {
    name: field.default for name, field in UniversalSteeringConfig.__dataclass_fields__.items()
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command exist: one for each field of the configuration."""
    _option(
        parser, "--model", dest="model_name", required=True, metavar="SPEC", help="Model to steer: Hub id, directory"
    )
    parser.add_argument(
        "--data",
        "--secllmholmes",
        metavar="PATH",
        help="Clone of SecLLMHolmes, or the datasets in it (default: $SECLLMHOLMES, else embedded pairs)",
    )
    _option(parser, "--output", dest="output_dir", metavar="DIR", help="Where results go, and are resumed from")
    _option(parser, "--layers", dest="steering_layers", type=_whole_numbers, metavar="I,J", help="Layers to steer")
    _option(parser, "--doses", type=_numbers, metavar="X,Y", help="Doses relative to the residual's norm, with 0")
    _option(parser, "--test-dose", type=float, metavar="X", help="The dose that is tested")
    _option(parser, "--scale", dest="steering_scale", type=float, metavar="X", help="Scale of the robustness case")
    _option(parser, "--random-directions", type=int, metavar="K", help="Random directions of the control")
    _option(parser, "--max-samples-per-cwe", type=int, metavar="N", help="Most pairs that build a vector")
    _option(parser, "--max-new-tokens", type=int, metavar="N", help="Length of written answers; 0 writes none")
    _option(parser, "--hidden-dim", type=int, metavar="N", help="Compared with what is measured")
    _option(parser, "--styles", type=_names, metavar="S1,…", help="Prompt styles, of S1 to S6 and D1 to D3")
    _option(parser, "--cwes", type=_names, metavar="CWE-89,…", help="CWEs to ask about (default: all in the data)")
    _option(
        parser,
        "--parts",
        type=_names,
        metavar="PART,…",
        help="Parts of the data that are tested, of hand-crafted, few-shot, trivial, non-trivial and real-world",
    )
    _option(parser, "--scheme", metavar="SCHEME", help="crossed or few-shot: which scenarios build the vectors")
    _option(parser, "--folds", type=int, metavar="N", help="Folds of the crossed scheme")
    _option(parser, "--method", metavar="METHOD", help="difference-in-means, pca or logistic-probe")
    _option(parser, "--positions", metavar="WHICH", help="Steered tokens: all, last, prompt or generated")
    _option(parser, "--seed", type=int, metavar="N", help="Seed of random directions and resampling")
    _option(
        parser,
        "--judge",
        metavar="JUDGE",
        help="Who judges written answers: rules, legacy, module:attribute or openai:MODEL@URL",
    )
    _option(parser, "--adapter", metavar="NAME", help="Steering implementation")
    _option(parser, "--device", metavar="DEVICE", help="Where the model runs")
    _option(parser, "--dtype", metavar="DTYPE", help="Type of the weights")
    for flag, name, value, text in (
        ("--memory-optimized", "memory_optimized", True, "Run one prompt at a time"),
        ("--no-class-control", "class_control", False, "Do not compare with differences within a class"),
        ("--no-layer-scan", "scan_layers", False, "Do not steer each layer alone"),
        ("--no-pictures", "pictures", False, "Draw no pictures"),
        ("--trust-remote-code", "trust_remote_code", True, "Run code that comes with the checkpoint"),
    ):
        parser.add_argument(flag, dest=name, action="store_const", const=value, default=_DEFAULTS[name], help=text)
    parser.add_argument("--quiet", action="store_true", help="Show no progress bar")


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """The exit status: 4 for what cannot be meant, 1 for a model that fails, 130 after Ctrl-C."""
    chosen = {name: getattr(options, name) for name in _DEFAULTS if hasattr(options, name)}
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
        if (error.name or "").partition(".")[0] not in (*STUDY, "matplotlib"):
            raise
        _complain(f"the experiment needs the package {error.name}; run pip install 'pytest-steering[study]'")
        return BAD_INPUT
    except SteeringError as error:
        _complain(" ".join(str(error).split()))
        return BAD_INPUT if isinstance(error, SpecError) else FAILED
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


def _option(parser: argparse.ArgumentParser, flag: str, **settings: Any) -> None:
    """An option whose default is the configuration's own."""
    name = settings.setdefault("dest", flag.removeprefix("--").replace("-", "_"))
    if not settings.get("required"):
        default = settings["default"] = _DEFAULTS[name]
        shown = (
            ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in default)
            if isinstance(default, tuple)
            else default
        )
        if shown is not None:
            settings["help"] += f" (default: {shown})"
    parser.add_argument(flag, **settings)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, _names(text)))


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, _names(text)))


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")
