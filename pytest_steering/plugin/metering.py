"""What a run costs: tokens that went through the model, and memory."""

from __future__ import annotations

import contextlib
import resource
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

if TYPE_CHECKING:
    from torch import nn


class ForwardPasses:
    """Counts every forward pass of the models that it watches, and its tokens.

    A compiled pass is not counted: the counter steps aside while a graph is traced.
    """

    key: ClassVar[pytest.StashKey[ForwardPasses]] = pytest.StashKey()

    def __init__(self) -> None:
        self.passes = 0
        self.tokens = 0

    @classmethod
    def of(cls, config: pytest.Config) -> ForwardPasses:
        """The counter of this run."""
        return config.stash.setdefault(cls.key, cls())

    def watch(self, model: nn.Module) -> None:
        """Every call of ``model`` is counted."""
        model.register_forward_pre_hook(self, with_kwargs=True)

    def __call__(self, _model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A forward pass begins."""
        import torch  # noqa: PLC0415 (a watched model has imported it)

        from pytest_steering.architecture.inputs import input_tokens  # noqa: PLC0415

        if torch.compiler.is_compiling():
            return
        self.passes += 1
        with contextlib.suppress(ValueError):
            tokens = input_tokens(kwargs, args)
            self.tokens += int(tokens.shape[0]) * int(tokens.shape[1])


def peak_bytes() -> int:
    """The most memory that this process has held: the GPU's where a GPU is in use, else its own."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        peak: int = torch.cuda.max_memory_allocated()
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
