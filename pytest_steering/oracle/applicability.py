"""What a requirement needs of the model and the adapter, and the reason when it is not applicable."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_steering.steering.capability import Capability

if TYPE_CHECKING:
    from pytest_steering.oracle.harness import Harness

PREFIX = "not applicable: "
STUDY = ("scipy", "statsmodels", "sklearn", "tqdm")
"""Modules of the extra ``study`` without which an experiment does not run."""


def need(harness: Harness, *needs: str) -> None:
    """The test goes on, or is reported as not applicable with the reason."""
    reason = lacking(harness, needs)
    if reason:
        not_applicable(reason)


def need_repeatable(harness: Harness) -> None:
    """Two unsteered runs are bit-equal, or bit-equality cannot be asked of steered ones."""
    if any(harness.floor(layer) for layer in harness.every_layer):
        not_applicable("two unsteered runs of the same batch are not bit-equal on this device")


def need_study() -> None:
    """The packages that a study of trained weights needs are installed."""
    missing = next((name for name in STUDY if find_spec(name) is None), None)
    if missing:
        not_applicable(f"{missing} is not installed: pip install 'pytest-steering[study]'")


def not_applicable(reason: str) -> NoReturn:
    """The test ends here: the requirement has no meaning for this model with this adapter."""
    pytest.skip(PREFIX + reason)


def lacking(harness: Harness, needs: Iterable[str]) -> str:
    """Why a requirement with these needs is not applicable; empty when it is.

    A need is the name of a ``Capability``, or ``weights`` (values to compute with) or ``trained`` (weights that
    come from a checkpoint, with a tokenizer to ask by).
    """
    for name in needs:
        reason = _lacks(harness, name)
        if reason:
            return reason
    return ""


def _lacks(harness: Harness, name: str) -> str:
    if name == "weights":
        return "" if harness.target.has_weights else "the model has shapes and no weights"
    if name == "trained":
        if not harness.target.trained:
            return "the weights are untrained"
        return "" if harness.target.tokenizer is not None else "without a tokenizer the model cannot be asked"
    capability = Capability[name]
    if capability not in harness.adapter.capabilities:
        return f"{harness.adapter.name} does not declare {name}"
    if capability is Capability.GENERATE:
        return harness.cannot_generate
    if capability is Capability.PADDING and not harness.prompts.masked:
        return f"{type(harness.model).__name__} takes no attention mask"
    if capability in (Capability.MULTI_LAYER, Capability.PER_LAYER_VECTORS) and harness.architecture.num_layers == 1:
        return "the model has one decoder layer"
    return ""
