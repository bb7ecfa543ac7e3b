"""What a run was asked for: options and ini settings, and what they amount to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_steering.errors import one_line
from pytest_steering.suite.catalogue import Asked
from pytest_steering.targets.spec import Spec, SpecKind, parse_spec

if TYPE_CHECKING:
    from pytest_steering.adapters.protocol import Factory
    from pytest_steering.targets.target import Target

DEFAULT_ADAPTER = "hooks"
TIMEOUT = 600.0
"""Seconds that a requirement may take."""


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
    engines: tuple[str, ...]
    default_engines: tuple[str, ...]
    """The engines of a run that names neither them nor an adapter."""
    judges_adapters: bool
    """Adapters are judged: always, but where only engines are named."""
    device: str | None
    device_map: str | None
    """Where each module goes, as typed."""
    parallel: str | None
    """How the model is spread over the ranks of this run."""
    dtype: str | None
    trust_remote_code: bool
    asked: Asked
    """The requirements that are asked."""
    strict: bool
    """The run fails where the verdict is silent."""
    fuzz: float
    """Minutes."""
    timeout: float
    """Seconds that a requirement may take; 0 is no limit."""
    reports: tuple[str, ...]
    bundle: str
    """The directory that bundles go to; empty for none."""
    known_failures: tuple[str, ...]
    baselines: tuple[str, ...]
    update_baseline: bool
    provided: Mapping[str, Factory]
    """The adapters that hooks provide, by name."""

    @property
    def loading(self) -> dict[str, Any]:
        """How models are loaded, by the names that ``load_target`` has for it; what was not asked for is left out."""
        given = {
            "device": self.device,
            "device_map": self.device_map,
            "parallel": self.parallel,
            "dtype": self.dtype,
            "trust_remote_code": self.trust_remote_code,
        }
        return {name: value for name, value in given.items() if value}

    @property
    def judged(self) -> tuple[Asked, ...]:
        """What is asked of adapters, of engines, or of both."""
        of_engines = replace(self.asked, engines=True)
        return (self.asked,) * self.judges_adapters + (of_engines,) * bool(self.engines)

    @property
    def in_use(self) -> bool:
        """Whether any model is named; without one, the plugin stays out of sight."""
        return bool(self.specs)


SETTINGS = pytest.StashKey[Settings]()
GIVEN = pytest.StashKey[Mapping[str, "Target"]]()
"""The models of a run that were given as objects, by the names that stand for them."""
CLOSING = "steering-closing"
"""The name of the plugin that writes the reports."""
SPECS = "steering_specs"
"""Under this key a controller of pytest-xdist tells its workers the models."""


def read_settings(config: pytest.Config) -> Settings:
    """Options before ini settings before defaults; repetitions are folded into one."""
    option = config.option
    in_ini = _once(config.getini("steering_adapter"))
    defaults, engines_in_ini = in_ini or (DEFAULT_ADAPTER,), _once(config.getini("steering_engines"))
    # What is typed goes before what the project says, as a whole: to name an engine is to ask for no adapter.
    typed = _once(option.steering_adapter), _once(option.steering_engine)
    adapters, engines = typed if any(typed) else (in_ini, engines_in_ini)
    named = parsed(_once(option.steering_model) or _once(config.getini("steering_models")))
    if given := config.stash.get(GIVEN, None):
        named = tuple(Spec(name, SpecKind.GIVEN, name) for name in given)
    return Settings(
        specs=parsed(config.workerinput[SPECS]) if is_worker(config) else named,  # type: ignore[attr-defined]
        named=named,
        typed=bool(option.steering_model),
        adapters=adapters or defaults,
        default_adapters=defaults,
        engines=engines,
        default_engines=engines_in_ini,
        judges_adapters=bool(adapters) or not engines,
        device=option.steering_device,
        device_map=option.steering_device_map
        or (None if option.steering_device else config.getini("steering_device_map") or None),
        parallel=option.steering_parallel,
        dtype=option.steering_dtype,
        trust_remote_code=option.steering_trust_remote_code,
        asked=Asked(
            option.steering_suite or config.getini("steering_suite") or Asked.version,
            option.steering_profile or config.getini("steering_profile") or Asked.profile,
            parallel=option.steering_parallel is not None,
        ),
        strict=option.steering_strict,
        fuzz=option.steering_fuzz,
        timeout=_timeout(option.steering_timeout, config.getini("steering_timeout")),
        reports=_once(option.steering_report),
        bundle=option.steering_bundle or "",
        known_failures=tuple(config.getini("steering_known_failures")),
        baselines=_once(option.steering_baseline),
        update_baseline=option.steering_baseline_update,
        provided=_provided(config),
    )


def _provided(config: pytest.Config) -> dict[str, Factory]:
    """The adapters of every ``pytest_steering_adapter`` hook; ``pytest.UsageError`` for what is none."""
    try:
        found = config.hook.pytest_steering_adapter(config=config)
    except BaseException as error:  # also pytest.skip and SystemExit: a hook that fails decides nothing
        raise pytest.UsageError(f"a pytest_steering_adapter hook failed: {one_line(error)}") from error
    for adapters in found:
        if not isinstance(adapters, Mapping) or not all(isinstance(name, str) for name in adapters):
            raise pytest.UsageError(
                f"a pytest_steering_adapter hook returned {one_line(repr(adapters))}: "
                "give a dict of names and callables (model, architecture) -> adapter"
            )
    return {name: factory for adapters in found for name, factory in adapters.items()}


def misspelt(config: pytest.Config) -> list[str]:
    """Settings of the project's that begin like ours and are none: pytest only warns of them."""
    return sorted(name for name in config._get_unknown_ini_keys() if name.startswith("steering_"))


def needs_check(config: pytest.Config, settings: Settings) -> bool:
    """Whether this run says anything about steering that could be wrong."""
    if is_worker(config) or config.option.help or config.option.version:
        return False
    options = (
        settings.known_failures,
        settings.reports,
        settings.device,
        settings.device_map,
        settings.parallel,
        settings.dtype,
        settings.asked != Asked(),
        settings.baselines,
        settings.update_baseline,
        settings.bundle,
    )
    if misspelt(config):
        return True
    selected = "steering_" in (config.option.markexpr or "")
    named = bool(config.option.steering_adapter) or bool(config.option.steering_engine)
    return settings.in_use or selected or named or any(options)


def settings_of(config: pytest.Config) -> Settings:
    """What this run is about, as read when pytest was configured."""
    return config.stash[SETTINGS]


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist, which reports to a controller."""
    return hasattr(config, "workerinput")


def parsed(texts: Iterable[str]) -> tuple[Spec, ...]:
    """The specs that these texts mean by their form."""
    return tuple(map(parse_spec, texts))


def _timeout(typed: float | None, setting: str | None) -> float:
    """The seconds that a requirement may take; what is no number is told when the rest is checked."""
    if typed is not None:
        return typed
    try:
        return TIMEOUT if setting is None else float(setting)
    except ValueError:
        return math.nan


def _once(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
