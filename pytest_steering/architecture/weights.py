"""What a module computes with, wherever it keeps it: as parameters, buffers, packed, or elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def weights_of(module: nn.Module) -> Iterator[Tensor]:
    """Every tensor of numbers that the module and those inside it hold, each once.

    A quantised layer keeps its weights as buffers, as plain attributes, or packed, where a method ``weight`` tells
    them; one whose weights are offloaded has them without values.
    """
    seen: set[int] = set()
    for inner in module.modules():
        held = [*inner.parameters(recurse=False), *inner.buffers(recurse=False), *vars(inner).values()]
        if inner.__class__.__module__.startswith("torch.ao."):
            held.append(_packed(inner))
        for tensor in held:
            if isinstance(tensor, Tensor) and tensor.dtype is not torch.bool and id(tensor) not in seen:
                seen.add(id(tensor))
                yield tensor


def set_flag(parameter: Tensor, flag: bool) -> None:
    """The parameter wants gradients or not; one that was made in inference mode takes the flag there alone."""
    if parameter.requires_grad != flag:
        with torch.inference_mode(parameter.is_inference()):
            parameter.requires_grad_(flag)


def _packed(module: nn.Module) -> Any:
    weight = getattr(module, "weight", None)
    return weight() if callable(weight) else None


def mixes(module: nn.Module) -> bool:
    """The module holds a matrix, as whatever mixes the features of a residual stream does."""
    return any(tensor.ndim >= 2 for tensor in weights_of(module))


def plain_parts(tensor: Tensor) -> Iterator[Tensor]:
    """The plain tensors that a tensor is made of: itself, or, where a library made a class of its own, those inside."""
    if hasattr(tensor, "__tensor_flatten__"):
        names, _ = tensor.__tensor_flatten__()
        parts = [getattr(tensor, name) for name in names]
        for part in parts:
            if isinstance(part, Tensor):
                yield from plain_parts(part)
    elif tensor.is_quantized:
        yield tensor.int_repr()
    else:
        yield tensor


def shard_again(modules: Iterable[nn.Module]) -> None:
    """Weights that FSDP2 has gathered for a pass lie in shards again: after one with gradients it keeps them until
    somebody asks for these."""
    for module in modules:
        if is_sharded(module):
            module.reshard()  # type: ignore[operator]


def is_sharded(module: nn.Module) -> bool:
    """FSDP2 gathers the module's weights for each pass."""
    fsdp: Any = sys.modules.get("torch.distributed.fsdp")
    return fsdp is not None and isinstance(module, fsdp.FSDPModule)


def offloaded(module: nn.Module) -> Mapping[str, Tensor] | None:
    """Where accelerate's hook on a module keeps its own tensors until it runs, by name; ``None`` for any other."""
    return next((kept for hook in _hooks_of(module) if (kept := getattr(hook, "weights_map", None)) is not None), None)


def _hooks_of(module: nn.Module) -> tuple[Any, ...]:
    hook = vars(module).get("_hf_hook")
    return tuple(getattr(hook, "hooks", (hook,)))


def device_of(module: nn.Module) -> torch.device:
    """Where the module computes: where its weight lies, or, for one that is offloaded, where it is brought to."""
    weight = next(module.parameters(recurse=False), None)
    if weight is not None and not weight.is_meta:
        return weight.device
    for hook in _hooks_of(module):
        place = getattr(hook, "execution_device", None)
        if place is not None:
            return torch.device(place)
    return weight.device if weight is not None else torch.device("cpu")


def kept_elsewhere(model: nn.Module) -> dict[str, Mapping[str, Tensor]]:
    """Where accelerate keeps each tensor that it puts in place for a pass alone, by the tensor's dotted name."""
    elsewhere: dict[str, Mapping[str, Tensor]] = {}
    for name, module in model.named_modules():
        kept = offloaded(module)
        if kept is not None:
            names = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
            elsewhere |= {f"{name}.{tensor}".lstrip("."): kept for tensor, _ in names}
    return elsewhere


def held(kept: Mapping[str, Tensor] | None, name: str, tensor: Tensor) -> Tensor:
    """The tensor of this name in its module with its values: where they are ``kept``, if it has none itself."""
    if kept is None or not tensor.is_meta:
        return tensor
    try:
        return kept[name]
    except KeyError:
        return tensor
