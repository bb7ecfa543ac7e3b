"""Training mode, as far as a model has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import torch
from torch import Tensor, nn

from pytest_steering.errors import one_line


class CannotTrain(Exception):
    """The model itself refuses training mode, as quantised layers for inference alone do, with its reason."""


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """The model is in training mode inside the block, and each of its modules in its own mode afterwards.

    What passes in that mode write into buffers, such as running means and the vectors of a spectral norm, is taken
    back. A model that refuses raises ``CannotTrain``, and is as it was.
    """
    modes = {module: module.training for module in model.modules()}
    # A plain tensor has values here, and can be compared.
    plain = (buffer for buffer in model.buffers() if type(buffer) is Tensor and not buffer.is_meta)
    buffers = [(buffer, buffer.detach().clone()) for buffer in plain]
    try:
        try:
            model.train()
        except Exception as error:
            raise CannotTrain(f"the model has no training mode: {one_line(error)}") from error
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for buffer, values in buffers:
            if not torch.equal(buffer, values):
                with torch.no_grad(), torch.inference_mode(buffer.is_inference()):
                    buffer.copy_(values)


@contextmanager
def training_if_any(model: nn.Module) -> Iterator[None]:
    """The same; a model that refuses stays in the mode that it is in."""
    with ExitStack() as stack:
        with suppress(CannotTrain):
            stack.enter_context(training(model))
        yield
