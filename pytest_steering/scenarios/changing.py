"""What a caller does to the model, since the adapter was made or while a block is open: it is theirs, and stays."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.architecture.weights import set_flag, shard_again
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.prompts import Unfit
from pytest_steering.scenarios.states import training

Undo = Callable[[], str]
"""Takes a change back; returns what had become of it by then, or nothing where it was still there."""

_WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.float32: torch.float64}

_MOST_WIDENED = 256 * 2**20
"""Bytes of a model that is tried in a wider dtype, which takes as many again."""

COMPUTES = frozenset({"trains", "weights", "matrices", "widened"})
"""The changes after which the model computes otherwise."""


def _trains(harness: Harness) -> Undo:
    """The model is in training mode."""
    mode = training(harness)
    mode.__enter__()

    def undo() -> str:
        trains = harness.model.training
        mode.__exit__(None, None, None)
        return "" if trains else "the training mode that the caller switched on is off afterwards"

    return undo


def _weights(harness: Harness) -> Undo:
    """Every weight of one layer is another."""
    return _multiplied(_middle(harness), changeable(_middle(harness)))


def _matrices(harness: Harness) -> Undo:
    """Those of one layer that are no biases, in which a vector may lie while a block is open."""
    return _multiplied(_middle(harness), [each for each in changeable(_middle(harness)) if each.ndim > 1])


def _multiplied(module: nn.Module, parameters: Iterable[nn.Parameter]) -> Undo:
    kept = [(parameter, parameter.detach().clone()) for parameter in parameters]
    with torch.no_grad():
        for parameter, _ in kept:
            parameter.mul_(1.25).add_(0.01)
    wanted = [parameter.detach().clone() for parameter, _ in kept]

    def undo() -> str:
        shard_again(module.modules())  # or what was gathered before would be computed with
        there = all(torch.equal(parameter, values) for (parameter, _), values in zip(kept, wanted, strict=True))
        with torch.no_grad():
            for parameter, values in kept:
                parameter.copy_(values)
        return "" if there else "weights that the caller had changed are others afterwards"

    return undo


def _widened(harness: Harness) -> Undo:
    """The model is in a wider dtype."""
    model = harness.model
    tensors = [*model.parameters(), *model.buffers()]
    dtypes = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    plain = all(type(each) in (nn.Parameter, Tensor) and not (each.is_meta or each.is_inference()) for each in tensors)
    if not plain or len(dtypes) != 1 or (dtype := dtypes.pop()) not in _WIDER:
        raise Unfit("the model has no one dtype that a wider one holds")
    size = sum(tensor.nbytes for tensor in tensors)
    if size > _MOST_WIDENED:
        raise Unfit(f"a wider dtype would take {size / 1e9:.1f} GB more")
    model.to(_WIDER[dtype])

    def undo() -> str:
        # What is widened and narrowed again has the bits that it had.
        model.to(dtype)
        return ""

    return undo


def _accumulates(harness: Harness) -> Undo:
    """The caller adds up gradients."""
    parameters = sorted(changeable(harness.model), key=nn.Parameter.numel)[:3]
    before = [parameter.grad for parameter in parameters]
    kept = [torch.ones_like(parameter) for parameter in parameters]
    for parameter, gradient in zip(parameters, kept, strict=True):
        parameter.grad = gradient

    def undo() -> str:
        said = ""
        for parameter, gradient, old in zip(parameters, kept, before, strict=True):
            if parameter.grad is not gradient or not bool((gradient == 1).all()):
                said = "gradients that the caller was adding up are gone or changed afterwards"
            parameter.grad = old
        return said

    return undo


def _patched(harness: Harness) -> Undo:
    """The ``forward`` of one layer is replaced by one that does the same."""
    layer = _middle(harness)
    before, mine = vars(layer).get("forward"), layer.forward

    def patched(*args: Any, **kwargs: Any) -> Any:
        return mine(*args, **kwargs)

    patched.__wrapped__ = mine  # type: ignore[attr-defined]
    layer.forward = patched

    def undo() -> str:
        there = vars(layer).get("forward") is patched
        vars(layer).pop("forward", None)
        if before is not None:
            layer.forward = before
        return "" if there else "a forward that someone else had patched is gone afterwards"

    return undo


def _hooked(harness: Harness) -> Undo:
    """A hook is registered on one layer."""
    layer = _middle(harness)
    handle = layer.register_forward_hook(lambda _module, _args, _output: None)

    def undo() -> str:
        there = handle.id in layer._forward_hooks
        handle.remove()
        return "" if there else "a hook that the caller registered is gone afterwards"

    return undo


def _flags(harness: Harness) -> Undo:
    """One parameter learns that did not, or no longer."""
    parameter = next(iter(changeable(harness.model)))
    before = parameter.requires_grad
    set_flag(parameter, not before)

    def undo() -> str:
        there = parameter.requires_grad is not before
        set_flag(parameter, before)
        return "" if there else "the gradient flag that the caller had set is another afterwards"

    return undo


def _config(harness: Harness) -> Undo:
    """The caller writes something into the model's config."""
    config: Any = getattr(harness.model, "config", None)
    if not hasattr(config, "to_dict"):
        raise Unfit("the model has no config")
    config.of_the_caller = True

    def undo() -> str:
        there = vars(config).pop("of_the_caller", False)
        return "" if there else "what the caller had set in the model's config is gone afterwards"

    return undo


CHANGES: dict[str, Callable[[Harness], Undo]] = {
    "trains": _trains,
    "weights": _weights,
    "matrices": _matrices,
    "widened": _widened,
    "accumulates": _accumulates,
    "patched": _patched,
    "hooked": _hooked,
    "flags": _flags,
    "config": _config,
}
"""Every change by name."""


def _middle(harness: Harness) -> nn.Module:
    return harness.architecture.layers[harness.plans.layers("middle")[0]]


def changeable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that can be computed with where they lie; ``Unfit`` where there is none."""
    shard_again(module.modules())
    computing = (*_WIDER, torch.float64)
    found = [each for each in module.parameters() if each.dtype in computing and not each.is_meta and _computes(each)]
    if not found:
        raise Unfit("the weights cannot be changed in place: they lie elsewhere, or are quantised")
    return found


def _computes(parameter: nn.Parameter) -> bool:
    """It can be multiplied and added to in place: one that was made in inference mode cannot, and a library's own
    class, in which quantised numbers lie, may not."""
    if parameter.is_inference():
        return False
    if type(parameter) is nn.Parameter:
        return True
    try:
        parameter.detach().clone().mul_(1.25).add_(0.01)
    except Exception:  # each class has its own way to refuse
        return False
    return True
