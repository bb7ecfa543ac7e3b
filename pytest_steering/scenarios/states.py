"""In which state: the model's mode, gradients, precision, the hooks of others, and the thread."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.architecture import modes
from pytest_steering.architecture.tracing import hooked
from pytest_steering.architecture.weights import set_flag
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.neighbour import beside
from pytest_steering.scenarios.prompts import Unfit
from pytest_steering.scenarios.space import dimension

STATE = dimension("state")
THREAD = dimension("thread")


@STATE.value("evaluation mode")
@contextmanager
def _evaluation(_harness: Harness) -> Iterator[None]:
    with torch.no_grad():
        yield


@STATE.value("training mode", needs=("TRAINING",))
@contextmanager
def _training(harness: Harness) -> Iterator[None]:
    with training(harness), torch.no_grad():
        yield


@STATE.value("gradients", needs=("GRADIENTS",), forward=True)
@contextmanager
def _gradients(_harness: Harness) -> Iterator[None]:
    with torch.enable_grad():
        yield


@STATE.value("gradients and a frozen model", needs=("GRADIENTS",), name="frozen", alone=True)
@contextmanager
def _frozen(harness: Harness) -> Iterator[None]:
    wanting = [parameter for parameter in harness.model.parameters() if parameter.requires_grad]
    try:
        for parameter in wanting:
            set_flag(parameter, False)
        with torch.enable_grad():
            yield
    finally:
        for parameter in wanting:
            set_flag(parameter, True)


@STATE.value("autocast")
@contextmanager
def _autocast(harness: Harness) -> Iterator[None]:
    device, small = harness.target.device.type, harness.target.small
    # Its cache is half a model more.
    with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16, cache_enabled=small):
        yield


@STATE.value("inference mode")
@contextmanager
def _inference(_harness: Harness) -> Iterator[None]:
    with torch.inference_mode():
        yield


@STATE.value("another default dtype", name="default-dtype", forward=True, alone=True)
@contextmanager
def _default_dtype(_harness: Harness) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64 if before != torch.float64 else torch.float32)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(before)


@STATE.value("the hooks of someone else")
@contextmanager
def _hooked(harness: Harness) -> Iterator[None]:
    def more(_module: nn.Module, _args: Any, output: Any) -> Any:
        return output

    layer = harness.architecture.layers[harness.plans.layers("middle")[0]]
    with torch.no_grad(), hooked(layer.register_forward_hook(more)):
        yield


@THREAD.value("the main thread", name="main")
def _main(_harness: Harness, call: Callable[[], Any], *, steered: bool) -> Any:
    return call()


@THREAD.value("a thread of its own", needs=("THREADS",), name="worker")
def _worker(_harness: Harness, call: Callable[[], Any], *, steered: bool) -> Any:
    # A new thread would compute with as many threads as there are cores, and another number of them rounds otherwise.
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as pool:
        return pool.submit(call).result()


@THREAD.value("another model steered in another thread", needs=("THREADS",), name="beside", alone=True)
def _beside(harness: Harness, call: Callable[[], Any], *, steered: bool) -> Any:
    if not steered:
        return call()
    meet = harness.architecture.entry.register_forward_pre_hook(harness.neighbour.meet)
    filters = warnings.filters[:]
    try:
        with hooked(meet), beside(harness.neighbour):
            return call()
    finally:
        # Before Python 3.14 two threads that catch warnings put back each other's filters, whoever calls whom.
        warnings.filters[:] = filters  # type: ignore[index]


@contextmanager
def training(harness: Harness) -> Iterator[None]:
    """The model is in training mode inside the block; ``Unfit`` where it has none, or changes itself in it."""
    if harness.unsteered.cannot_repeat_training:
        raise Unfit(harness.unsteered.cannot_repeat_training)
    try:
        with modes.training(harness.model):
            yield
    except modes.CannotTrain as error:
        raise Unfit(str(error)) from error


def loss_of(tensors: dict[str, Tensor]) -> Tensor | None:
    """A number to differentiate: the mean square of the logits of an output, if it has some."""
    logits = (tensor for tensor in tensors.values() if tensor.is_floating_point() and tensor.ndim == 3)
    found = next(logits, None)
    return None if found is None else found.float().square().mean()
