"""The options, ini settings and markers that a user meets, each with what ``--help`` says of it."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from pytest_steering.plugin.options import TIMEOUT
from pytest_steering.suite.catalogue import PROFILES

MARKERS = (
    "steering_model(*specs, needs=(), min_layers=0): run the test on these models, or on those of "
    "--steering-model; it is not applicable to a model or adapter that lacks what it needs",
    "steering_requirement(id, needs, since, core): the requirement of the bundled suite that the test stands for",
)


def add_options(parser: pytest.Parser) -> None:
    """The option group ``steering`` and the ini settings exist."""
    group = parser.getgroup("steering", "activation steering")
    repeatable: dict[str, Any] = {"action": "append", "default": []}
    group.addoption(
        "--steering-model",
        metavar="SPEC",
        help="Model to test: a Hub id, a directory, tiny:TYPE, config:DIRECTORY or module:callable "
        "(repeatable; tiny:* is every type). Without a path, the bundled suite runs",
        **repeatable,
    )
    group.addoption(
        "--steering-adapter",
        metavar="NAME",
        help="Steering implementation to test: an installed name or module:attribute (repeatable; default: hooks)",
        **repeatable,
    )
    group.addoption(
        "--steering-engine",
        metavar="NAME",
        help="Serving engine to test: an installed name or module:attribute (repeatable). The requirements of engines "
        "are asked of it, and those of adapters only where one is named too",
        **repeatable,
    )
    group.addoption("--steering-device", metavar="DEVICE", help="Device to run models on, for example cuda:1")
    group.addoption(
        "--steering-device-map",
        metavar="MAP",
        help="Spread each model by accelerate: auto, balanced, cpu, disk …, or a JSON object from modules to places "
        "(transformers' device_map). Weights that a checkpoint does not hold as they are lie in a temporary directory",
    )
    group.addoption(
        "--steering-parallel",
        metavar="WAY",
        help="Spread each model over the ranks that torchrun has started: tensor (transformers' tp_plan) or fsdp2. "
        "Each rank is a run of its own, on the CPU; the first one speaks",
    )
    group.addoption("--steering-dtype", metavar="DTYPE", help="Floating-point type to run models in, for example bf16")
    group.addoption(
        "--steering-report",
        metavar="PATH",
        help="Write a report to this file: .json, .html (a page to look at) or .badge.json (what shields.io reads) "
        "(repeatable)",
        **repeatable,
    )
    group.addoption(
        "--steering-baseline",
        metavar="FILE",
        help="Fail where anything is worse than in this file, or missing there or here (repeatable: a file for some of "
        "the models each)",
        **repeatable,
    )
    group.addoption(
        "--steering-baseline-update",
        action="store_true",
        help="Write what this run finds into the --steering-baseline file. A run that fails writes nothing; what did "
        "not run keeps its place in the file, and is told",
    )
    group.addoption(
        "--steering-bundle",
        metavar="DIR",
        help="Leave a folder in DIR for each requirement that fails: inputs, plan, tensors, versions, and a script "
        "that shows the failure without this package",
    )
    group.addoption(
        "--steering-profile",
        choices=PROFILES,
        help="core: what any steering library must do, a first look in seconds; full: everything (default)",
    )
    group.addoption(
        "--steering-strict",
        action="store_true",
        help="Fail where the verdict is silent: on what did not run, was skipped or marked from outside the suite, or "
        "was declared and could not be judged",
    )
    group.addoption(
        "--steering-suite",
        metavar="VERSION",
        help="Ask what this version of the suite asked, and nothing that came later, for example 1.0",
    )
    group.addoption(
        "--steering-fuzz",
        metavar="MINUTES",
        type=float,
        default=0.0,
        help="Go on trying new sessions for so many minutes; what fails is kept and tried first the next time",
    )
    group.addoption(
        "--steering-timeout",
        metavar="SECONDS",
        type=float,
        help=f"End a requirement that takes longer, and the run with it (default: {TIMEOUT:g}; 0: never)",
    )
    group.addoption(
        "--steering-trust-remote-code",
        action="store_true",
        help="Let a checkpoint run the Python code that comes with it",
    )
    for name, (kind, says) in INI.items():
        parser.addini(name, says, type=kind, default=None if kind == "string" else [])


INI: dict[str, tuple[Literal["args", "linelist", "string"], str]] = {
    "steering_models": ("args", "Models to test when --steering-model names none"),
    "steering_adapter": ("args", "Adapters to test when --steering-adapter names none"),
    "steering_engines": ("args", "Engines to test when neither --steering-engine nor --steering-adapter names any"),
    "steering_device_map": ("string", "What --steering-device-map is when neither it nor --steering-device is given"),
    "steering_known_failures": (
        "linelist",
        'Requirements that are known to fail, one "requirement-id: reason" a line, or '
        '"requirement-id[cause=…, model=…, adapter=…]: reason" (also by a parameter of its tests)',
    ),
    "steering_profile": ("string", "What --steering-profile is when it is not given"),
    "steering_suite": ("string", "What --steering-suite is when it is not given"),
    "steering_timeout": ("string", "What --steering-timeout is when it is not given"),
}
"""Every setting of a project's, with its type and what it is."""
