"""The hot path: one forward hook per steered decoder layer and nothing else in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

from pytest_steering.adapters._common import Steered, Step, steps
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.compiled import any_compiled, uncompiled
from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.tracing import hooked
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.steering.token_positions import Generation, PassPositions


class HooksAdapter(SteeringAdapter):
    """Steers with forward hooks on the decoder layers."""

    name = "hooks"
    frugal = True
    capabilities = frozenset(Capability)

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.model = model
        self.architecture = architecture
        self._generation = Generation.shared(model)

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Eager]:
        """The model is steered by ``plan`` inside the block; plans of nested blocks add up."""
        plan.check(self.architecture)
        todo = steps(plan, self.architecture)
        passes = PassPositions(plan.positions, self.architecture.extra_positions, self._generation, plan.rows)
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
        if not any_compiled(self._modules):
            return function(*args, **kwargs)
        with uncompiled():
            return function(*args, **kwargs)


def _hook(step: Step, passes: PassPositions) -> Callable[[nn.Module, Any, Any], Any]:
    return lambda _module, _args, output: step(output, passes.mask)
