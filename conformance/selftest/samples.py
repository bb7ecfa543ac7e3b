"""Samples of cases that are too many for every change."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any


def everything(variable: str) -> bool:
    """The environment says ``variable=all`` or ``SAMPLES=all``."""
    return "all" in (os.environ.get(variable), os.environ.get("SAMPLES"))


def sample(cases: Sequence[Any], every: int, variable: str) -> Sequence[Any]:
    """Every so manyth case, or all of them where the environment asks for everything."""
    return cases if everything(variable) else cases[::every]


def sample_of_each(cases: Iterable[Any], key: str, every: int, variable: str) -> Sequence[Any]:
    """The same of the cases of each value of ``key``, so that each value has one."""
    by_value: dict[Any, list[Any]] = {}
    for case in cases:
        by_value.setdefault(getattr(case, key), []).append(case)
    return [case for alike in by_value.values() for case in sample(alike, every, variable)]
