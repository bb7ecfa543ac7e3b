"""Models that ``torch.compile`` was applied to, or that apply it: hooks see what runs in eager mode alone."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn


def any_compiled(modules: Iterable[nn.Module]) -> bool:
    """Some of these modules, or a model that holds them, is compiled."""
    return any(
        module._compiled_call_impl is not None or type(module).__name__ == "OptimizedModule" for module in modules
    )


def _compile_themselves(modules: Iterable[nn.Module]) -> bool:
    """Their attention is ``flex_attention``, which transformers compiles anew for most shapes that it meets."""
    # Hundreds of modules share a few configs, whose attributes take long to get.
    configs = {id(config): config for module in modules if (config := vars(module).get("config")) is not None}
    return any(getattr(config, "_attn_implementation", None) == "flex_attention" for config in configs.values())


class _Stance:
    """How many calls of all threads go around compiled code: the stance is one for the whole process."""

    lock = threading.Lock()
    calls = 0
    before: Any = None


@contextmanager
def uncompiled() -> Iterator[None]:
    """Compiled code is gone around: the first call of any thread sets the stance, the last one sets it back."""
    with _Stance.lock:
        if not _Stance.calls:
            _Stance.before = torch.compiler.set_stance("force_eager")
        _Stance.calls += 1
    try:
        yield
    finally:
        with _Stance.lock:
            _Stance.calls -= 1
            if not _Stance.calls:
                _Stance.before.__exit__(None, None, None)


def eager(model: nn.Module) -> AbstractContextManager[None]:
    """The model runs in eager mode inside the block, where hooks see every call: compiled, they would be unrolled.

    Nor is anything compiled that would be for each shape: a verdict asks for hundreds of them.
    """
    modules = tuple(model.modules())
    return uncompiled() if any_compiled(modules) or _compile_themselves(modules) else nullcontext()


@contextmanager
def compiled(model: nn.Module, **options: Any) -> Iterator[None]:
    """The model is compiled in place inside the block."""
    before = model._compiled_call_impl
    model.compile(**options)
    try:
        yield
    finally:
        # torch offers no way to undo Module.compile.
        model._compiled_call_impl = before
