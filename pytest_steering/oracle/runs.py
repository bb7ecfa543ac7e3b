"""How a model is run: without gradients, watched, with settings of the suite's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from pytest_steering.architecture.compiled import eager
from pytest_steering.architecture.observation import Trace, observe
from pytest_steering.architecture.residual import logits_of
from pytest_steering.oracle.generation_settings import own_settings
from pytest_steering.targets.memory import Workload
from pytest_steering.targets.target import Target


@contextmanager
def running(target: Target) -> Iterator[None]:
    """Nothing inside has gradients, and a model without weights runs under its fake mode.

    To be entered inside an adapter's block: an adapter prepares on real vectors, only the model runs without values.
    """
    with ExitStack() as stack:
        stack.enter_context(eager(target.model))
        stack.enter_context(torch.no_grad())
        if target.fake is not None:
            stack.enter_context(target.fake)
        yield


def forward(target: Target, call: Callable[..., Any], inputs: Mapping[str, Tensor], *, inside: bool = False) -> Trace:
    """One forward pass of ``call``, watched after every layer; the result is the logits.

    With ``inside``, also how large the numbers were that each layer added up itself.
    """
    architecture = target.architecture
    return observe(architecture, architecture.every_layer, lambda: logits_of(call(**inputs)), inside=inside)


def generate(
    target: Target,
    call: Any,
    inputs: Mapping[str, Tensor],
    *,
    workload: Workload,
    layers: Sequence[int] = (),
    options: Mapping[str, Any],
    inside: bool = False,
) -> Trace:
    """One greedy ``generate`` of ``call``, watched after ``layers``: the result is sequences, ``(rows, columns)``."""
    settings = {
        "do_sample": False,
        "max_new_tokens": workload.new_tokens,
        "min_new_tokens": workload.new_tokens,
        "pad_token_id": target.pad_token_id,
        **options,
    }
    with own_settings(target.model):
        return observe(target.architecture, tuple(layers), lambda: call.generate(**inputs, **settings), inside=inside)
