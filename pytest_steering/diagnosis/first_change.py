"""Where in the model a steered forward pass first differs from an unsteered one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from pytest_steering.dataflow import Call, record
from pytest_steering.residual import Path, same_bits

if TYPE_CHECKING:
    from pytest_steering.plan import SteeringPlan
    from pytest_steering.trial import Trial


@dataclass(frozen=True)
class Change:
    """What a module received or returned that is not what it receives or returns in an unsteered pass."""

    module: str
    """Dotted name of the module; empty for the whole model."""
    received: bool
    """What it received changed; otherwise what it returned."""
    clock: int
    missing: tuple[str, ...] = ()
    """Arguments that it no longer received."""


@dataclass(frozen=True)
class Changes:
    """The first change, and between what the steered layers began and ended in the unsteered pass."""

    first: Change | None
    spans: Mapping[int, tuple[int, int]]
    """Decoder layer → when it first began and ended."""


def first_change(trial: Trial, plan: SteeringPlan, inputs: Mapping[str, Tensor]) -> Changes:
    """The first change that steering by ``plan`` makes to a forward pass of ``inputs``."""
    with trial.running():
        plain, _ = record(trial.model, lambda: trial.model(**inputs))
    with trial.steering(plan) as steered, trial.running():
        during, _ = record(trial.model, lambda: steered(**inputs))
    ran = dict(_numbered(during))
    changes = [change for key, call in _numbered(plain) if key in ran for change in _changes(call, ran[key])]
    spans: dict[int, tuple[int, int]] = {}
    for number, layer in enumerate(trial.architecture.layers):
        call = next((call for call in plain if call.module is layer), None)
        if call is not None:
            spans[number] = call.started, call.ended
    return Changes(min(changes, key=lambda change: change.clock, default=None), spans)


def _numbered(calls: Iterable[Call]) -> Iterator[tuple[tuple[str, int], Call]]:
    """Finished calls, by module name and by how often that module had run before."""
    counts: Counter[str] = Counter()
    for call in calls:
        if call.ended >= 0:
            yield (call.name, counts[call.name]), call
            counts[call.name] += 1


def _changes(plain: Call, steered: Call) -> Iterator[Change]:
    missing = tuple(_names(plain.inputs) - _names(steered.inputs))
    if missing or _differ(plain.inputs, steered.inputs):
        yield Change(plain.name, True, plain.started, missing)
    if _differ(plain.outputs, steered.outputs):
        yield Change(plain.name, False, plain.ended)


def _names(inputs: list[tuple[Path, Tensor]]) -> set[str]:
    return {str(path[-1]) for path, _ in inputs if path}


def _differ(one: list[tuple[Path, Tensor]], other: list[tuple[Path, Any]]) -> bool:
    found = dict(other)
    return any(path in found and not same_bits(tensor, found[path]) for path, tensor in one)
