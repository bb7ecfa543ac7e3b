"""Steering through nnsight: the intervention runs interleaved with every forward pass."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import nnsight
from torch import nn

from pytest_steering.adapters._common import Steered, Step, steps
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.model import Architecture
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.steering.token_positions import PassPositions


class NNsightAdapter(SteeringAdapter):
    """Steers with nnsight interventions on the decoder layers' outputs."""

    name = "nnsight"
    frugal = True
    version = nnsight.__version__
    # A compiled model and nested traces are no part of what nnsight promises of a trace.
    capabilities = frozenset(Capability) - {Capability.COMPILE, Capability.NESTING}

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.model = model
        self.architecture = architecture
        self.envoy = nnsight.NNsight(model)

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[Traced]:
        """The yielded object traces each of its calls and steers inside the trace."""
        plan.check(self.architecture)
        yield Traced(
            self,
            steps(plan, self.architecture),
            PassPositions(plan.positions, self.architecture.extra_positions, rows=plan.rows),
        )


class Traced(Steered):
    """A model whose calls run under an nnsight trace that steers."""

    def __init__(self, adapter: NNsightAdapter, todo: dict[int, Step], passes: PassPositions) -> None:
        super().__init__(adapter.model, passes)
        self._root = adapter.envoy
        self._entry_module = adapter.architecture.entry
        self._entry = self._envoy(adapter.architecture.entry_name)
        decoder_layers = adapter.architecture.decoder_layers
        self._calls = max(decoder_layers[layer].calls for layer in todo)
        """How often the steered layers run in one pass."""
        self._layers = [(self._envoy(decoder_layers[layer].name), todo[layer]) for layer in sorted(todo)]

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        returned: list[Any] = []

        def run(*given: Any, **options: Any) -> None:
            returned.append(function(*given, **options))

        with warnings.catch_warnings():
            # An open loop over the passes ends by design when there is no further pass.
            warnings.filterwarnings("ignore", message=".*was never reached.*", category=UserWarning)
            with self._root.trace(*args, fn=run, **kwargs) as tracer:
                for number in tracer.iter[:]:
                    self._passes.begin_pass(self._entry_module, *self._entry.inputs)
                    runs = (
                        tracer.iter[number * self._calls : (number + 1) * self._calls] if self._calls > 1 else (None,)
                    )
                    for _ in runs:
                        for layer, step in self._layers:
                            layer.output = step(layer.output, self._passes.mask)
        return returned[0]

    def _envoy(self, name: str) -> Any:
        return self._root.get(name) if name else self._root
