"""What steers inside vLLM's model: one hook before each pass, and one behind each decoder layer.

The first asks vLLM's model runner which tokens of which requests lie in which rows. How the scheduler came to put them
there (a chunk of a prompt, a decode step, a request that was preempted and is computed anew, a draft) makes no
difference to which of them a plan means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from pytest_steering.architecture.model import Architecture
from pytest_steering.engines.flattened import Addition, Span, Steered, additions, steers
from pytest_steering.engines.protocol import Request
from pytest_steering.errors import EngineError
from pytest_steering.steering.plan import SteeringPlan

KEY = "steering"
"""Under this name, a request's extra arguments hold its number."""


class Hooks:
    """What steers inside the model: one hook before each pass, and one behind each decoder layer."""

    def __init__(self, runner: Any, architecture: Architecture) -> None:
        self._runner = runner
        self._requests: dict[int, Steered] = {}
        self._additions: dict[int, Addition] = {}
        model: nn.Module = runner.get_model()
        layers = decoder_layers(model, architecture)
        self._weight = next(layers[0].parameters())
        self._dtypes = [layer.dtype for layer in architecture.decoder_layers]
        self._handles = [model.register_forward_pre_hook(self._begin)]
        self._handles += [layer.register_forward_hook(self._adding(number)) for number, layer in enumerate(layers)]

    @contextmanager
    def steering(self, requests: Mapping[int, Request]) -> Iterator[None]:
        """Inside the block the requests with these numbers are steered as their plans say now."""
        self._requests = {
            number: Steered(self._deltas(request.plan), request.plan.positions, len(request.prompt))
            for number, request in requests.items()
            if steers(request.plan)
        }
        try:
            yield
        finally:
            self._requests, self._additions = {}, {}

    def remove(self) -> None:
        """The model is as it was."""
        for handle in self._handles:
            handle.remove()

    def _deltas(self, plan: SteeringPlan) -> dict[int, Tensor]:
        return {
            layer: (vector.detach().double() * plan.scale).to(self._weight.device, self._dtypes[layer])
            for layer, vector in plan.vectors.items()
        }

    def _begin(self, _module: nn.Module, _args: Any) -> None:
        self._additions = additions(self._tokens()) if self._requests else {}

    def _tokens(self) -> Iterator[tuple[Steered, Span]]:
        """Which tokens of the steered requests are in the pass that begins."""
        runner = self._runner
        batch, borders = runner.input_batch, runner.query_start_loc.np
        for place, request_id in enumerate(batch.req_ids):
            extra = runner.requests[request_id].sampling_params.extra_args or {}
            steered = self._requests.get(extra.get(KEY, -1))
            if steered is not None:
                start, end = int(borders[place]), int(borders[place + 1])
                yield steered, Span(start, end - start, int(batch.num_computed_tokens_cpu[place]))

    def _adding(self, layer: int) -> Callable[..., Any]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
            addition = self._additions.get(layer)
            return output if addition is None else addition.to(output)

        return hook


def decoder_layers(model: nn.Module, architecture: Architecture) -> list[nn.Module]:
    """The decoder layers as vLLM builds them: under the names that transformers gives them, or the one list as long.

    ``EngineError`` where neither is there.
    """
    named = dict(model.named_modules())
    names = [layer.name for layer in architecture.decoder_layers]
    if all(name in named for name in names):
        return [named[name] for name in names]
    lists = [
        each for each in named.values() if isinstance(each, nn.ModuleList) and len(each) == architecture.num_layers
    ]
    if len(lists) != 1:
        raise EngineError(
            f"vLLM's {type(model).__name__} has no {architecture.layers_path}, and {len(lists)} lists of "
            f"{architecture.num_layers} modules: its decoder layers cannot be told"
        )
    return list(lists[0])
