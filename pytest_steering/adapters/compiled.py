"""Steering inside the compiled model: what to add and where are tensors that its graph reads, so a block compiles
nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from pytest_steering.adapters._common import Steered, steps
from pytest_steering.adapters._resident import Block, Resident
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.compiled import any_compiled, uncompiled
from pytest_steering.architecture.model import Architecture
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.steering.token_positions import Generation, PassPositions


class CompiledAdapter(SteeringAdapter):
    """Steers a compiled model inside its graphs, and any other model with forward hooks.

    The hooks are put on the model when the adapter is made, and stay; what was compiled before is compiled anew. No
    graph is made for a vector, a scale, a layer, a position, or a block that begins or ends. In eager mode a vector is
    added that is learnt, a model runs that virtual tokens are put before, and a recurrent model generates: its state
    does not tell where a pass begins.
    """

    name = "compiled"
    frugal = True
    capabilities = frozenset(Capability)

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.model = model
        self.architecture = architecture
        self._generation = Generation.shared(model)
        Resident.of(architecture)

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Inside]:
        """The model is steered by ``plan`` inside the block; plans of nested blocks add up."""
        plan.check(self.architecture)
        passes = PassPositions(plan.positions, self.architecture.extra_positions, self._generation, plan.rows)
        resident = Resident.of(self.architecture)
        block = Block(plan, passes, steps(plan, self.architecture))
        resident.open(block)
        try:
            yield Inside(self.model, passes, resident)
        finally:
            resident.close(block)


class Inside(Steered):
    """A steered model whose compiled code knows from which prompt it generates."""

    def __init__(self, model: nn.Module, passes: PassPositions, resident: Resident) -> None:
        super().__init__(model, passes)
        self._resident = resident

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._resident.kinds.following(self._passes.prompt):
            eagerly = self._resident.virtual or any(block.learnt for block in self._resident.blocks)
            if self._passes.prompt is not None and not self._resident.tells_begin:
                eagerly = True
            if eagerly and any_compiled(self._model.modules()):
                with uncompiled():
                    return function(*args, **kwargs)
            return function(*args, **kwargs)
