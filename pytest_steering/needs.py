"""What a test needs of its model, by the ``steering_model`` marker, and why it is not applicable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_steering.applicability import not_applicable
from pytest_steering.capability import Capability
from pytest_steering.errors import SpecError
from pytest_steering.model_fixtures import ADAPTER, MODEL

if TYPE_CHECKING:
    from pytest_steering.target import Target

FACTS = {
    "weights": ("has_weights", "the model has shapes and no weights"),
    "trained": ("trained", "the weights are untrained"),
    "tokenizer": ("tokenizer", "the model comes without a tokenizer"),
}


def check_needs(item: pytest.Item) -> None:
    """The test goes on, or is reported as not applicable with the reason."""
    funcargs = getattr(item, "funcargs", None) or {}
    if MODEL not in funcargs:
        return
    for mark in item.iter_markers(MODEL):
        needs = mark.kwargs.get("needs", ())
        names = (needs,) if isinstance(needs, str) else needs
        reason = next(_lacking(funcargs, names, mark.kwargs.get("min_layers", 0)), "")
        if reason:
            not_applicable(reason)


def _lacking(funcargs: dict[str, Any], needs: Iterable[str], min_layers: int) -> Iterator[str]:
    target: Target = funcargs[MODEL]
    for need in needs:
        name = str(need).lower()
        if name in FACTS:
            attribute, reason = FACTS[name]
            if not getattr(target, attribute):
                yield reason
        elif name not in set(Capability):
            known = ", ".join([*FACTS, *Capability])
            raise SpecError(f"the steering_model marker needs {need!r}, which is none of {known}")
        elif ADAPTER in funcargs and Capability(name) not in funcargs[ADAPTER].capabilities:
            yield f"{funcargs[ADAPTER].name} does not declare {name.upper()}"
    if min_layers and target.architecture.num_layers < min_layers:
        yield f"{target.spec} has {target.architecture.num_layers} decoder layers, fewer than {min_layers}"
