"""What an experiment is told: every choice that changes a number, checked before a model is loaded."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pytest_steering.errors import SpecError

_CHOICES = {
    "scheme": ("crossed", "few-shot"),
    "method": ("difference-in-means", "pca", "logistic-probe"),
    "positions": ("all", "last", "prompt", "generated"),
}
_NO_NUMBERS = ("output_dir", "data", "device", "trust_remote_code", "pictures", "judge")
"""What may differ between a run and its resumption; the data and the device are compared by what they are, and what
another judge says is kept beside what the first one said."""
_KINDS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "True or False"}
_ALLOWED: dict[str, Any] = {"int": int, "float": (int, float), "str": str, "bool": bool}


class ExperimentError(SpecError):
    """An experiment that cannot be meant, or cannot go on: one sentence with the reason and the remedy."""


def _told(default: Any, text: str, metavar: str = "", *flags: str) -> Any:
    """A field with the words, the placeholder and the spelling that the command has for it."""
    return field(default=default, metadata={"help": text, "metavar": metavar, "flags": flags})


@dataclass(frozen=True, kw_only=True)
class UniversalSteeringConfig:
    """A steering experiment on vulnerable and patched code, for any model whose decoder layers can be found.

    Doses are relative: at dose d what is added after each steered layer has d times the mean norm of the residual
    stream there. ``steering_scale`` multiplies the vectors as trained, without regard to that norm; it is the
    robustness case and no evidence of an effect. Each field says what it is as the command does, which makes an
    option of it. ``ExperimentError`` names the field that cannot be meant.
    """

    model_name: str = _told(MISSING, "Model to steer: Hub id, directory, module:attribute", "SPEC", "--model")
    data: str | None = _told(
        None, "Clone of SecLLMHolmes (default: $SECLLMHOLMES, else embedded pairs)", "PATH", "--data", "--secllmholmes"
    )
    output_dir: str = _told("steering-experiment", "Where results go, and are resumed from", "DIR", "--output")
    steering_layers: tuple[int, ...] | None = _told(None, "Layers to steer (default: final three)", "I,J", "--layers")
    doses: tuple[float, ...] = _told((0.0, 0.1, 0.25, 0.5, 1.0), "Doses relative to the residual's norm, with 0", "X,Y")
    test_dose: float = _told(0.25, "The dose that is tested; the others are described", "X")
    steering_scale: float = _told(100.0, "Scale of the robustness case", "X", "--scale")
    random_directions: int = _told(19, "Random directions of the control", "K")
    max_samples_per_cwe: int = _told(5, "Most pairs that build a vector", "N")
    max_new_tokens: int = _told(50, "Length of written answers; 0 writes none", "N")
    hidden_dim: int | None = _told(None, "Compared with what is measured, which is used", "N")
    styles: tuple[str, ...] = _told(("S1",), "Prompt styles, of S1 to S6 and D1 to D3", "S1,…")
    cwes: tuple[str, ...] | None = _told(None, "CWEs to ask about (default: all in the data)", "CWE-89,…")
    parts: tuple[str, ...] = _told(
        ("hand-crafted",), "Parts to test, of hand-crafted, few-shot, trivial, non-trivial and real-world", "PART,…"
    )
    scheme: str = _told(
        "crossed",
        "crossed: folds test the vectors of each other; few-shot: few-shot pairs build them",
        "SCHEME",
    )
    folds: int = _told(2, "Folds of the crossed scheme", "N")
    method: str = _told("difference-in-means", "difference-in-means, pca or logistic-probe", "METHOD")
    positions: str = _told("all", "Steered tokens: all, last, prompt or generated", "WHICH")
    seed: int = _told(0, "Seed of random directions and resampling", "N")
    judge: str = _told("rules", "Judge of written answers: rules, legacy, module:attribute, openai:MODEL@URL", "JUDGE")
    adapter: str = _told("hooks", "Steering implementation", "NAME")
    device: str | None = _told(None, "Where the model runs", "DEVICE")
    dtype: str | None = _told(None, "Type of the weights", "DTYPE")
    memory_optimized: bool | None = _told(None, "Run one prompt at a time, also where more fit")
    class_control: bool = _told(True, "Do not compare with differences within a class", "", "--no-class-control")
    scan_layers: bool = _told(True, "Do not steer each layer alone", "", "--no-layer-scan")
    pictures: bool = _told(True, "Draw no pictures", "", "--no-pictures")
    trust_remote_code: bool = _told(False, "Run code that comes with the checkpoint")

    def __post_init__(self) -> None:
        for one in fields(self):
            if isinstance(value := getattr(self, one.name), list):
                object.__setattr__(self, one.name, tuple(value))
        for complaint in _complaints(self):
            raise ExperimentError(complaint)
        if self.cwes is not None:
            object.__setattr__(self, "cwes", tuple(cwe.upper() for cwe in self.cwes))

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


def kind_of(one: Field[Any]) -> tuple[str, bool]:
    """The name of the type of a field's value, or of each of its values, and whether there are several."""
    declared = str(one.type).removesuffix(" | None")
    item = declared.removeprefix("tuple[").removesuffix(", ...]")
    return item, item != declared


def _complaints(config: UniversalSteeringConfig) -> Iterator[str]:
    """What cannot be meant, as sentences; each holds only where those before it do not."""
    yield from _wrong_types(config)
    if not config.model_name.strip():
        yield "model_name is empty; give a Hub id, a directory or module:attribute"
    least = {"max_samples_per_cwe": 1, "random_directions": 0, "folds": 2, "max_new_tokens": 0, "seed": 0}
    for name, bound in least.items():
        if getattr(config, name) < bound:
            yield f"{name} is {getattr(config, name)}; it must be at least {bound}"
    if config.hidden_dim is not None and config.hidden_dim < 1:
        yield f"hidden_dim is {config.hidden_dim}; leave it out, it is measured"
    if not math.isfinite(config.steering_scale) or config.steering_scale == 0:
        yield f"steering_scale is {config.steering_scale}; give a finite number other than 0"
    if not all(map(math.isfinite, config.doses)) or len(set(config.doses)) < 3 or 0.0 not in config.doses:
        given = ", ".join(f"{dose:g}" for dose in config.doses) or "none"
        yield f"doses are {given}; give 0 and at least two other finite multiples of the residual's norm"
    if config.test_dose not in config.active_doses:
        known = ", ".join(f"{dose:g}" for dose in config.active_doses)
        yield f"test_dose {config.test_dose:g} is none of the doses {known}; choose one of them"
    layers = config.steering_layers
    if layers is not None and (not layers or min(layers) < 0 or len(set(layers)) < len(layers)):
        yield f"steering_layers are {list(layers)}; give different layer indices from 0, or leave them out"
    if not config.styles or len(set(config.styles)) < len(config.styles):
        yield f"styles are {list(config.styles)}; give at least one, each once"
    if config.cwes is not None and not config.cwes:
        yield "cwes are none; name at least one, or leave them out to take all"
    if not config.parts:
        yield "parts are none; name at least one part of the data to test"
    for name, known_ones in _CHOICES.items():
        if getattr(config, name) not in known_ones:
            yield f"{name} is {getattr(config, name)!r}; choose one of {', '.join(known_ones)}"


def _wrong_types(config: UniversalSteeringConfig) -> Iterator[str]:
    """Fields whose value is of another type than they are declared with."""
    for one in fields(config):
        (item, several), value = kind_of(one), getattr(config, one.name)
        if value is None and str(one.type).endswith("None"):
            continue
        values = value if several and isinstance(value, tuple) else (value,)
        # True is an int to Python, and no number to whoever wrote it.
        fits = all(isinstance(each, _ALLOWED[item]) and isinstance(each, bool) is (item == "bool") for each in values)
        if not fits or (several and not isinstance(value, tuple)):
            yield f"{one.name} is {value!r}; give {f'a tuple, each {_KINDS[item]}' if several else _KINDS[item]}"
