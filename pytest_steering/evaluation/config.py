"""What an experiment is told: every choice that changes a number, checked before a model is loaded."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pytest_steering.errors import SpecError

SCHEMES = ("crossed", "few-shot")
_METHODS = ("difference-in-means", "pca", "logistic-probe")
_POSITIONS = ("all", "last", "prompt", "generated")
_NO_NUMBERS = ("output_dir", "data", "device", "trust_remote_code", "pictures", "judge")
"""What may differ between a run and its resumption; the data and the device are compared by what they are, and what
another judge says is kept beside what the first one said."""


class ExperimentError(SpecError):
    """An experiment that cannot be meant, or cannot go on: one sentence with the reason and the remedy."""


@dataclass(frozen=True, kw_only=True)
class UniversalSteeringConfig:
    """A steering experiment on vulnerable and patched code, for any model whose decoder layers can be found.

    Doses are relative: at dose d what is added after each steered layer has d times the mean norm of the residual
    stream there. ``steering_scale`` multiplies the vectors as trained, without regard to that norm; it is the
    robustness case and no evidence of an effect. ``ExperimentError`` names the field that cannot be meant.
    """

    model_name: str
    """Any model spec: a Hub id, a directory, ``module:attribute``."""
    data: str | None = None
    """A clone of SecLLMHolmes; without it the environment variable ``SECLLMHOLMES``, else the embedded pairs."""
    output_dir: str = "steering-experiment"
    steering_layers: tuple[int, ...] | None = None
    """Decoder layers to steer; the final three by default."""
    steering_scale: float = 100.0
    max_new_tokens: int = 50
    """Length of generated answers; 0 generates none."""
    hidden_dim: int | None = None
    """What the caller believes; it is compared with what is measured, and the measured one is used."""
    memory_optimized: bool | None = None
    """One prompt at a time; by default only where two do not fit."""
    max_samples_per_cwe: int = 5
    """The most pairs that build a vector."""
    doses: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 1.0)
    test_dose: float = 0.25
    """The one dose whose effect is tested; the others are described."""
    random_directions: int = 19
    class_control: bool = True
    """Whether the vector is also compared with differences between files of one class, which have its norm and no
    label: states of one kind of prompt differ along few directions, and random ones are strange to all of them."""
    styles: tuple[str, ...] = ("S1",)
    cwes: tuple[str, ...] | None = None
    parts: tuple[str, ...] = ("hand-crafted",)
    """The parts of the data that are tested."""
    scheme: str = "crossed"
    """``crossed``: scenarios are divided into ``folds``, each tested with a vector of the others. ``few-shot``: the
    few-shot pair of a CWE builds its vector."""
    folds: int = 2
    method: str = "difference-in-means"
    positions: str = "all"
    scan_layers: bool = True
    """Whether every decoder layer is also steered alone, at the test dose."""
    seed: int = 0
    adapter: str = "hooks"
    device: str | None = None
    dtype: str | None = None
    trust_remote_code: bool = False
    pictures: bool = True
    judge: str = "rules"
    """Who says what a written answer says: ``rules``, ``legacy``, ``module:attribute`` or ``openai:MODEL@URL``."""

    def __post_init__(self) -> None:
        for name in ("doses", "styles", "steering_layers", "cwes", "parts"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if self.cwes is not None:
            object.__setattr__(self, "cwes", tuple(cwe.upper() for cwe in self.cwes))
        for complaint in _complaints(self):
            raise ExperimentError(complaint)

    def numbers(self) -> dict[str, Any]:
        """The choices that change a number, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if name not in _NO_NUMBERS}

    @property
    def fingerprint(self) -> str:
        """The sha256 of :meth:`numbers`."""
        return hashlib.sha256(json.dumps(self.numbers(), sort_keys=True).encode()).hexdigest()

    @property
    def output(self) -> Path:
        """The directory that results go to."""
        return Path(self.output_dir).expanduser()

    @property
    def active_doses(self) -> tuple[float, ...]:
        """The doses that are not 0, in rising order."""
        return tuple(sorted(dose for dose in set(self.doses) if dose))


def _complaints(config: UniversalSteeringConfig) -> Sequence[str]:
    """What cannot be meant, as sentences."""
    found = [*_wrong_types(config)]
    if found:
        return found
    if not config.model_name.strip():
        found.append("model_name is empty; give a Hub id, a directory or module:attribute")
    found += _least(config, max_samples_per_cwe=1, random_directions=0, folds=2, max_new_tokens=0, seed=0)
    if config.hidden_dim is not None and config.hidden_dim < 1:
        found.append(f"hidden_dim is {config.hidden_dim}; leave it out, it is measured")
    if not math.isfinite(config.steering_scale) or config.steering_scale == 0:
        found.append(f"steering_scale is {config.steering_scale}; give a finite number other than 0")
    if not all(math.isfinite(dose) for dose in config.doses) or len(set(config.doses)) < 3 or 0.0 not in config.doses:
        found.append(
            f"doses are {', '.join(f'{dose:g}' for dose in config.doses) or 'none'}; "
            "give 0 and at least two other finite multiples of the residual's norm"
        )
    elif config.test_dose not in config.active_doses:
        found.append(
            f"test_dose {config.test_dose:g} is none of the doses {', '.join(f'{d:g}' for d in config.active_doses)}; "
            "choose one of them"
        )
    layers = config.steering_layers
    if layers is not None and (not layers or min(layers) < 0 or len(set(layers)) < len(layers)):
        found.append(f"steering_layers are {list(layers)}; give different layer indices from 0, or leave them out")
    if not config.styles or len(set(config.styles)) < len(config.styles):
        found.append(f"styles are {list(config.styles)}; give at least one, each once")
    if config.cwes is not None and not config.cwes:
        found.append("cwes are none; name at least one, or leave them out to take all")
    if not config.parts:
        found.append("parts are none; name at least one part of the data to test")
    choices = {"scheme": SCHEMES, "method": _METHODS, "positions": _POSITIONS}
    found += [
        f"{name} is {getattr(config, name)!r}; choose one of {', '.join(known)}"
        for name, known in choices.items()
        if getattr(config, name) not in known
    ]
    return found


def _least(config: UniversalSteeringConfig, **least: int) -> list[str]:
    return [
        f"{name} is {getattr(config, name)}; it must be at least {bound}"
        for name, bound in least.items()
        if getattr(config, name) < bound
    ]


def _wrong_types(config: UniversalSteeringConfig) -> list[str]:
    """Fields whose value is of another type than they are declared with."""
    plain = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
    found = []
    for field in fields(config):
        declared, optional = str(field.type).removesuffix(" | None"), str(field.type).endswith("None")
        value = getattr(config, field.name)
        if value is None and optional:
            continue
        item = declared.removeprefix("tuple[").removesuffix(", ...]") if declared.startswith("tuple") else ""
        allowed = plain[item or declared]
        values = value if item and isinstance(value, tuple) else (value,)
        whole = not item or isinstance(value, tuple)
        if not whole or not all(
            isinstance(one, allowed) and (bool in allowed or type(one) is not bool) for one in values
        ):
            wanted = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "True or False"}
            what = f"a tuple, each {wanted[item]}" if item else wanted[declared]
            found.append(f"{field.name} is {value!r}; give {what}")
    return found
