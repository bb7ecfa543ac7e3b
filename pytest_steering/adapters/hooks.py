"""The hot path: one forward hook per steered decoder layer and nothing else in the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from pytest_steering.adapters._common import Steered, Step, steps
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.tracing import hooked
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.steering.token_positions import Generation, PassPositions


class HooksAdapter(SteeringAdapter):
    """Steers with forward hooks on the decoder layers."""

    name = "hooks"
    capabilities = frozenset(Capability)

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.model = model
        self.architecture = architecture
        self._generation = Generation()

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Eager]:
        """The model is steered by ``plan`` inside the block; plans of nested blocks add up."""
        plan.check(self.architecture)
        todo = steps(plan, self.architecture)
        passes = PassPositions(plan.positions, self.architecture.extra_positions, self._generation)
        with ExitStack() as stack:
            begin = self.architecture.entry.register_forward_pre_hook(passes.begin_pass, with_kwargs=True)
            stack.enter_context(hooked(begin))
            for layer, step in todo.items():
                # Before all other hooks: transformers captures hidden states with one that it leaves on the layer.
                hook = self.architecture.layers[layer].register_forward_hook(_hook(step, passes), prepend=True)
                stack.enter_context(hooked(hook))
            yield Eager(self.model, passes)


class Eager(Steered):
    """A steered model that runs in eager mode where it is compiled: a compiled call does not see hooks that are added
    after it."""

    def __init__(self, model: nn.Module, passes: PassPositions) -> None:
        super().__init__(model, passes)
        self._modules = tuple(model.modules())

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not any(map(_compiled, self._modules)):
            return function(*args, **kwargs)
        with uncompiled():
            return function(*args, **kwargs)


def _compiled(module: nn.Module) -> bool:
    return module._compiled_call_impl is not None or type(module).__name__ == "OptimizedModule"


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


def _hook(step: Step, passes: PassPositions) -> Callable[[nn.Module, Any, Any], Any]:
    return lambda _module, _args, output: step(output, passes.mask)
