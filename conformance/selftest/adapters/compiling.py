"""Adapters on compiled models: what is wrong with one, and three that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from pytest_steering.fixtures.known_bad.lifecycle import BlindToCompile
from torch import Tensor, nn

from pytest_steering import SteeringPlan, load_target
from pytest_steering.adapters.compiled import CompiledAdapter
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.adapters.protocol import Factory
from pytest_steering.architecture.model import Architecture
from pytest_steering.steering.plan import Positions

HIDDEN = 32
WAYS = ("the model in place", "a compiled model", "each layer")
IDS = torch.tensor([[11, 12, 13, 14, 15], [0, 0, 16, 17, 18]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
RISING, FALLING = torch.linspace(-1, 1, HIDDEN), torch.linspace(3, -1, HIDDEN)
PLANS = (
    SteeringPlan({1: RISING}),
    SteeringPlan({1: FALLING}),
    SteeringPlan({1: FALLING}, -2.0),
    SteeringPlan({0: RISING, 3: FALLING}),
    *(SteeringPlan({2: RISING}, 3.0, positions) for positions in (Positions.LAST, Positions.PROMPT)),
)


class Graphs:
    """A backend that counts the graphs that are made, and runs them as they are."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, graph: torch.fx.GraphModule, _example: list[Tensor]) -> Callable[..., Any]:
        self.made += 1
        return graph.forward


def compile_as(way: str, model: nn.Module, layers: tuple[nn.Module, ...], backend: Any) -> Any:
    """The model, compiled as a user does it; whole, without a break."""
    if way == "each layer":
        for layer in layers:
            layer.compile(backend=backend, fullgraph=True)
        return model
    if way == "a compiled model":
        return torch.compile(model, backend=backend, fullgraph=True)
    model.compile(backend=backend, fullgraph=True)
    return model


@torch.no_grad()
def wrong(make: Factory, way: str, kind: str = "llama", plans: tuple[SteeringPlan, ...] = PLANS) -> set[str]:
    """What is wrong with an adapter on a model that was compiled after it was made, and has run."""
    target = load_target(f"tiny:{kind}")
    adapter, graphs, found = make(target.model, target.architecture), Graphs(), set()
    call = compile_as(way, target.model, target.architecture.layers, graphs)

    def logits(call: Any) -> Tensor:
        result: Tensor = call(input_ids=IDS, attention_mask=MASK).logits
        return result

    plain = logits(call)
    made = graphs.made
    for plan in plans:
        with adapter.steer(plan):
            steered = logits(call)
        with HooksAdapter(target.model, target.architecture).steer(plan) as eager:
            wanted = logits(eager)
        if torch.equal(steered, plain):
            found.add("nothing is steered")
        elif not torch.allclose(steered, wanted, atol=1e-5):
            found.add("it is steered otherwise")
        if not torch.equal(logits(call), plain):
            found.add("something is left")
        if graphs.made > made:
            found.add("graphs are made")
        made = graphs.made
    return found


class MadeForEachBlock(CompiledAdapter):
    """What is compiled is thrown away when a block begins."""

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Any]:
        torch.compiler.reset()
        with super().steer(plan) as steered:
            yield steered


class ScaleInTheGraph:
    """The scale is a number of Python's, which each graph knows as a constant."""

    name = "scale in the graph"
    capabilities = CompiledAdapter.capabilities

    def __init__(self, _model: nn.Module, architecture: Architecture) -> None:
        self.scale, self.vectors = 0.0, [torch.zeros(HIDDEN) for _ in architecture.layers]
        for layer, vector in zip(architecture.layers, self.vectors, strict=True):
            layer.register_forward_hook(lambda _module, _args, output, v=vector: output + self.scale * v)

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[None]:
        self.scale = plan.scale
        for layer, vector in plan.vectors.items():
            self.vectors[layer].copy_(vector)
        try:
            yield
        finally:
            self.scale = 0.0
            for vector in self.vectors:
                vector.zero_()


Unrolled = BlindToCompile
"""Hooks that are added to a compiled model, which does not see them."""
