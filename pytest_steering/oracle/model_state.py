"""Everything of a model that steering might leave changed, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.architecture.weights import held, offloaded, plain_parts, set_flag, shard_again
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


class Kind(StrEnum):
    """What a piece of a model's state is."""

    CLASS = "the class of"
    MODE = "the training mode of"
    ATTRIBUTES = "the attributes of"
    HOOKS = "the hooks of"
    FORWARD = "the forward of"
    PARAMETER = "parameter"
    FLAG = "the gradient flag of"
    VALUES = "the values of"
    BUFFER = "buffer"
    CONFIG = "the"


@dataclass(frozen=True, order=True)
class Piece:
    """One piece of a model's state: the hooks of one module, the values of one parameter."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


_piece = cache(Piece)
"""The same piece is asked for again and again."""

THE_CALLERS = frozenset({Kind.MODE, Kind.FLAG, Kind.PARAMETER, Kind.CONFIG})
"""What making an adapter leaves as it is: it may register hooks and put modules in, which are its own."""

_CAUSES = {
    Kind.MODE: Cause.MODE,
    Kind.FLAG: Cause.FLAGS,
    Kind.ATTRIBUTES: Cause.ATTRIBUTE,
    Kind.FORWARD: Cause.HOOK_LEFT,
    Kind.VALUES: Cause.PARAMETERS,
    Kind.PARAMETER: Cause.PARAMETERS,
    Kind.BUFFER: Cause.PARAMETERS,
    Kind.CONFIG: Cause.CONFIG,
}


def model_state(model: nn.Module, *, values: bool = True) -> dict[Piece, Any]:
    """A snapshot: each module's class, mode, hooks and own attributes, each parameter's identity, values and gradient
    flag, each buffer's values, and the configs.

    Without ``values``, those of parameters and buffers are left out: they take long, and show in what is computed.
    """
    found: dict[Piece, Any] = {}
    modules = list(model.named_modules(remove_duplicate=False))
    shard_again(module for _, module in modules)
    seen: set[int] = set()
    """Modules and tensors that were met, by their id: one under several names is looked at once."""
    # One walk: this is done hundreds of times, and torch's own walks take longer than all that is looked at.
    for name, module in modules:
        own = vars(module)
        kept = offloaded(module)
        for local, parameter in module._parameters.items():
            if parameter is None:
                continue
            path = f"{name}.{local}" if name else local
            # Under each of its names: an embedding that is tied to the head stays so.
            # One that is brought from elsewhere whenever it is wanted is another tensor each time.
            found[_piece(Kind.PARAMETER, path)] = id(parameter) if kept is None else "elsewhere"
            if id(parameter) not in seen:
                seen.add(id(parameter))
                found[_piece(Kind.FLAG, path)] = parameter.requires_grad, parameter.grad is None
                if values:
                    found[_piece(Kind.VALUES, path)] = _fingerprint(held(kept, local, parameter))
        for local, buffer in module._buffers.items() if values else ():
            if buffer is not None and id(buffer) not in seen:
                seen.add(id(buffer))
                path = f"{name}.{local}" if name else local
                found[_piece(Kind.BUFFER, path)] = _fingerprint(held(kept, local, buffer))
        if id(module) in seen:
            continue
        seen.add(id(module))
        place = name or "the root"
        found[_piece(Kind.CLASS, place)] = type(module)
        found[_piece(Kind.MODE, place)] = module.training
        found[_piece(Kind.ATTRIBUTES, place)] = {
            name: value if value.__class__ in _PLAIN else None for name, value in own.items() if name != "training"
        }
        found[_piece(Kind.HOOKS, place)] = {hooks: list(own[hooks]) for hooks in _HOOKS if own[hooks]}
        if "forward" in own:
            found[_piece(Kind.FORWARD, place)] = own["forward"]
    for name in ("config", "generation_config"):
        config = getattr(model, name, None)
        if hasattr(config, "to_dict"):
            found[_piece(Kind.CONFIG, name)] = _contents(config)
    return found


def _contents(config: Any) -> dict[str, Any]:
    """What is written in a config and in the configs inside it, by dotted name."""
    found: dict[str, Any] = {}
    for name, value in vars(config).items():
        if hasattr(value, "to_dict"):
            found |= {f"{name}.{inner}": inner_value for inner, inner_value in _contents(value).items()}
        else:
            found[name] = value if value.__class__ in _PLAIN else repr(value)
    return found


_PLAIN = frozenset({bool, int, float, str})
"""Of an attribute of any other type it only counts that it is there."""


def changed(before: Mapping[Piece, Any], after: Mapping[Piece, Any]) -> list[Piece]:
    """The pieces that are another, gone or new."""
    gone = [piece for piece, value in before.items() if piece not in after or not same(after[piece], value)]
    return [*gone, *sorted(after.keys() - before.keys())]


def same(one: Any, other: Any) -> bool:
    """The same object, or an equal one."""
    return one is other or bool(one == other)


def likely_leftover(piece: Piece, before: Any, after: Any) -> Diagnosis | None:
    """The bug class of a piece of a model's state that changed; ``None`` stands for one that was not there."""
    if piece.kind is Kind.HOOKS and isinstance(before, dict) and isinstance(after, dict):
        removed = any(set(ids) - set(after.get(hooks, ())) for hooks, ids in before.items())
        return Diagnosis(Cause.HOOKS_REMOVED if removed else Cause.HOOK_LEFT, str(piece))
    cause = _CAUSES.get(piece.kind)
    return None if cause is None else Diagnosis(cause, _which(piece, before, after))


def _which(piece: Piece, before: Any, after: Any) -> str:
    """The name of what changed, and of its entries where it has some."""
    if isinstance(before, dict) and isinstance(after, dict):
        changed = [str(key) for key in {**before, **after} if before.get(key) != after.get(key)]
        return f"{', '.join(changed[:3])} of {piece}"
    return str(piece)


def _fingerprint(tensor: Tensor) -> tuple[Any, ...]:
    """Shape, dtype, device and two sums over the bits: enough to see a change in any dtype, cheap for many parameters.

    A quantised tensor is the tensors that it is made of; one without values (on the meta device) is its shape.
    """
    told = tuple(tensor.shape), tensor.dtype, str(tensor.device)
    values, *others = plain_parts(tensor.detach())
    if others:
        return (*told, *map(_fingerprint, (values, *others)))
    if values.is_meta or not values.numel():
        return told
    bytes_ = values.contiguous().reshape(-1).view(torch.uint8)
    if bytes_.storage_offset() % 8:
        bytes_ = bytes_.clone()
    whole = len(bytes_) // 8 * 8
    # Words of 64 bits are added up as they lie: no copy of the weights is made, and what does not fit is cut off.
    words = bytes_[:whole].view(torch.int64)
    sums = (int(words.sum()), int(words.max())) if whole else ()
    return (*told, *sums, *bytes_[whole:].tolist())


def classes(model: nn.Module) -> dict[str, object]:
    """Every method of the classes that a model's modules are of, and of those that they are made from, by its name."""
    kinds = dict.fromkeys(kind for module in model.modules() for kind in type(module).__mro__ if kind is not object)
    return {
        f"{kind.__qualname__}.{name}": value
        for kind in kinds
        for name, value in vars(kind).items()
        if callable(value) or isinstance(value, (staticmethod, classmethod, property))
    }


class Snapshot:
    """A model's modules as they are now, to be put back: hooks, parameters, their gradient flags, mode and attributes.

    Values that are changed inside a tensor are not put back; everything that is added, replaced or removed is.
    """

    def __init__(self, model: nn.Module) -> None:
        shard_again(model.modules())
        self._modules = [
            (module, {name: (value, _copied(value)) for name, value in vars(module).items()})
            for module in model.modules()
        ]
        self._flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        configs = (getattr(model, name, None) for name in ("config", "generation_config"))
        self._configs = [(config, dict(vars(config))) for config in configs if hasattr(config, "to_dict")]

    def restore(self) -> None:
        """Every module has the attributes, hooks, parameters and submodules that it had, and configs their values."""
        shard_again(module for module, _ in self._modules)
        for module, kept in self._modules:
            current = vars(module)
            for name in current.keys() - kept.keys():
                del current[name]
            for name, (value, contents) in kept.items():
                current[name] = value
                if isinstance(value, dict) and [*map(id, value.values())] != [*map(id, contents.values())]:
                    # The same dictionary: the handle of a hook removes it from that one.
                    value.clear()
                    value.update(contents)
        for parameter, flag in self._flags:
            set_flag(parameter, flag)
        for config, values in self._configs:
            vars(config).clear()
            vars(config).update(values)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, dict) else value
