"""Training mode, as far as a model has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from torch import nn

from pytest_steering.errors import one_line


class CannotTrain(Exception):
    """The model itself refuses training mode, as quantised layers for inference alone do, with its reason."""


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """The model is in training mode inside the block, and each of its modules in its own mode afterwards.

    A model that refuses raises ``CannotTrain``, and is as it was.
    """
    modes = {module: module.training for module in model.modules()}
    try:
        try:
            model.train()
        except Exception as error:
            raise CannotTrain(f"the model has no training mode: {one_line(error)}") from error
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def training_if_any(model: nn.Module) -> Iterator[None]:
    """The same; a model that refuses stays in the mode that it is in."""
    with ExitStack() as stack:
        with suppress(CannotTrain):
            stack.enter_context(training(model))
        yield
