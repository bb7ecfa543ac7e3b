"""A small model of more layers: what some errors need to show."""

from __future__ import annotations

from pytest_steering.errors import SteeringError
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.harness import Harness
from pytest_steering.targets.spec import SpecKind, parse_spec
from pytest_steering.targets.target import load_target

WIDTH = 48
"""No power of two, which some errors need to show as well."""


def deepened(harness: Harness, layers: int) -> Harness:
    """The same under a model of the same type with so many layers; not applicable where none can be built."""
    target = harness.target
    spec = parse_spec(target.spec)
    if spec.kind is not SpecKind.TINY or "?" in spec.value:
        not_applicable(f"the model has {harness.architecture.num_layers} decoder layers, fewer than {layers}")
    dtype = str(harness.architecture.decoder_layers[0].dtype).removeprefix("torch.")
    try:
        deep = load_target(f"{spec.text}?layers={layers}&hidden={WIDTH}", device=str(target.device), dtype=dtype)
        found = deep.architecture.num_layers
        if found < layers:
            not_applicable(f"the small model of {layers} layers has {found} that carry the residual stream")
        return harness.of(deep)
    except SteeringError as error:
        not_applicable(f"no small model of {layers} layers can be judged: {error}")
