"""Harnesses of small models under an adapter."""

from __future__ import annotations

from functools import partial

from pytest_steering.adapters.registry import make_adapter
from pytest_steering.oracle.harness import Harness
from pytest_steering.targets.target import load_target

BAD = "pytest_steering.fixtures.known_bad"


def harness_of(adapter: str = "hooks", spec: str = "tiny:llama") -> Harness:
    target = load_target(spec)
    build = partial(make_adapter, adapter, provided={})
    return Harness(target, build(target.model, target.architecture), build)
