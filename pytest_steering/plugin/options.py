"""What a user can ask for: the options and ini settings, and what they amount to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pytest

from pytest_steering.suite.catalogue import PROFILES, Asked
from pytest_steering.targets.spec import Spec, parse_spec

if TYPE_CHECKING:
    from pytest_steering.adapters.protocol import Factory

DEFAULT_ADAPTER = "hooks"

MARKERS = (
    "steering_model(*specs, needs=(), min_layers=0): run the test on these models, or on those of "
    "--steering-model; it is not applicable to a model or adapter that lacks what it needs",
    "steering_requirement(id, needs, since, core): the requirement of the bundled suite that the test stands for",
)


@dataclass(frozen=True)
class Settings:
    """What this run is about."""

    specs: tuple[Spec, ...]
    """The models that tests run on when they name none."""
    named: tuple[Spec, ...]
    """The same as a user named them, where a pattern may stand for several."""
    typed: bool
    """Whether the models were typed on the command line."""
    adapters: tuple[str, ...]
    default_adapters: tuple[str, ...]
    """The adapters of a run that names none."""
    device: str | None
    dtype: str | None
    trust_remote_code: bool
    asked: Asked
    """The requirements that are asked."""
    strict: bool
    """The run fails where the verdict is silent."""
    fuzz: float
    """Minutes."""
    reports: tuple[str, ...]
    known_failures: tuple[str, ...]
    provided: Mapping[str, Factory]
    """The adapters that hooks provide, by name."""

    @property
    def in_use(self) -> bool:
        """Whether any model is named; without one, the plugin stays out of sight."""
        return bool(self.specs)


SETTINGS = pytest.StashKey[Settings]()
SPECS = "steering_specs"
"""Under this key a controller of pytest-xdist tells its workers the models."""


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
    group.addoption("--steering-device", metavar="DEVICE", help="Device to run models on, for example cuda:1")
    group.addoption("--steering-dtype", metavar="DTYPE", help="Floating-point type to run models in, for example bf16")
    group.addoption(
        "--steering-report",
        metavar="PATH",
        help="Write a report to this .json file (repeatable)",
        **repeatable,
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
        "--steering-trust-remote-code",
        action="store_true",
        help="Let a checkpoint run the Python code that comes with it",
    )
    for name, (kind, says) in INI.items():
        parser.addini(name, says, type=kind, default=None if kind == "string" else [])


INI: dict[str, tuple[Literal["args", "linelist", "string"], str]] = {
    "steering_models": ("args", "Models to test when --steering-model names none"),
    "steering_adapter": ("args", "Adapters to test when --steering-adapter names none"),
    "steering_known_failures": ("linelist", 'Requirements that are known to fail, one "requirement-id: reason" a line'),
    "steering_profile": ("string", "What --steering-profile is when it is not given"),
    "steering_suite": ("string", "What --steering-suite is when it is not given"),
}
"""Every setting of a project's, with its type and what it is."""


def read_settings(config: pytest.Config) -> Settings:
    """Options before ini settings before defaults; repetitions are folded into one."""
    option = config.option
    defaults = _once(config.getini("steering_adapter")) or (DEFAULT_ADAPTER,)
    named = parsed(_once(option.steering_model) or _once(config.getini("steering_models")))
    return Settings(
        specs=parsed(config.workerinput[SPECS]) if is_worker(config) else named,  # type: ignore[attr-defined]
        named=named,
        typed=bool(option.steering_model),
        adapters=_once(option.steering_adapter) or defaults,
        default_adapters=defaults,
        device=option.steering_device,
        dtype=option.steering_dtype,
        trust_remote_code=option.steering_trust_remote_code,
        asked=Asked(
            option.steering_suite or config.getini("steering_suite") or Asked.version,
            option.steering_profile or config.getini("steering_profile") or Asked.profile,
        ),
        strict=option.steering_strict,
        fuzz=option.steering_fuzz,
        reports=_once(option.steering_report),
        known_failures=tuple(config.getini("steering_known_failures")),
        provided={
            name: factory
            for adapters in config.hook.pytest_steering_adapter(config=config)
            for name, factory in adapters.items()
        },
    )


def misspelt(config: pytest.Config) -> list[str]:
    """Settings of the project's that begin like ours and are none: pytest only warns of them."""
    return sorted(name for name in config._get_unknown_ini_keys() if name.startswith("steering_"))


def needs_check(config: pytest.Config, settings: Settings) -> bool:
    """Whether this run says anything about steering that could be wrong."""
    if is_worker(config) or config.option.help or config.option.version:
        return False
    options = (settings.known_failures, settings.reports, settings.device, settings.dtype, settings.asked != Asked())
    if misspelt(config):
        return True
    selected = "steering_" in (config.option.markexpr or "")
    return settings.in_use or selected or bool(config.option.steering_adapter) or any(options)


def settings_of(config: pytest.Config) -> Settings:
    """What this run is about, as read when pytest was configured."""
    return config.stash[SETTINGS]


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist, which reports to a controller."""
    return hasattr(config, "workerinput")


def parsed(texts: Iterable[str]) -> tuple[Spec, ...]:
    """The specs that these texts mean by their form."""
    return tuple(map(parse_spec, texts))


def _once(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
