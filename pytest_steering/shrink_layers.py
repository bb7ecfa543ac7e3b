"""Which of the kinds of layers of a full-size model its tiny one has."""

from __future__ import annotations

import inspect
from typing import Any

from pytest_steering.shrink_rules import NUM_LAYERS


def kinds_of_layers(full: Any) -> dict[str, Any]:
    """Every per-layer list of the full-size default, cut to four and holding each kind of layer.

    Kinds are names, or the few different numbers of a list that says something else than one size for all.
    """
    known = inspect.signature(type(full)).parameters
    depth = getattr(full, "num_hidden_layers", None)
    return {
        name: _cut(list(value))
        for name, value in vars(full).items()
        if name in known and isinstance(value, list | tuple) and len(value) == depth and _tells_kinds(value)
    }


def _tells_kinds(per_layer: Any) -> bool:
    if all(isinstance(each, str) for each in per_layer):
        return True
    numbers = all(isinstance(each, int | float) for each in per_layer)
    return numbers and 1 < len(set(per_layer)) <= NUM_LAYERS


def _cut(kinds: list[Any]) -> list[Any]:
    first, distinct = kinds[:NUM_LAYERS], list(dict.fromkeys(kinds))
    if set(first) == set(distinct):
        return first
    return ([kinds[0]] * (NUM_LAYERS - len(distinct)) + distinct)[:NUM_LAYERS]
