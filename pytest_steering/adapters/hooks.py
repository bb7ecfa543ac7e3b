"""The hot path: one forward hook per steered decoder layer and nothing else in the way."""

from __future__ import annotations

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
from pytest_steering.steering.token_positions import PassPositions


class HooksAdapter(SteeringAdapter):
    """Steers with forward hooks on the decoder layers."""

    name = "hooks"
    capabilities = frozenset(Capability)

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.model = model
        self.architecture = architecture

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Eager]:
        """The model is steered by ``plan`` inside the block; plans of nested blocks add up."""
        plan.check(self.architecture)
        todo = steps(plan, self.architecture)
        passes = PassPositions(plan.positions, self.architecture.extra_positions)
        with ExitStack() as stack:
            begin = self.architecture.entry.register_forward_pre_hook(passes.begin_pass, with_kwargs=True)
            stack.enter_context(hooked(begin))
            for layer, step in todo.items():
                hook = self.architecture.layers[layer].register_forward_hook(_hook(step, passes))
                stack.enter_context(hooked(hook))
            yield Eager(self.model, passes)


class Eager(Steered):
    """A steered model that runs in eager mode: a compiled call does not see hooks that are added after it."""

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with torch.compiler.set_stance("force_eager"):
            return function(*args, **kwargs)


def _hook(step: Step, passes: PassPositions) -> Callable[[nn.Module, Any, Any], Any]:
    return lambda _module, _args, output: step(output, passes.mask)
