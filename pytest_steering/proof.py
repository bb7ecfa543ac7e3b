"""Proof by edit: what a layer emits reaches the next layer, and the logits of the tokens that it stands at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.axes import TOKENS
from pytest_steering.dataflow import Call, hooked, record
from pytest_steering.links import Link
from pytest_steering.probe import Probe
from pytest_steering.residual import Layout, Path, logits_of, same_bits, tensors_in

_ROUNDING = 16


class Reach(StrEnum):
    """Whose logits an edit of the last token moves."""

    OWN = "own"
    """Its own alone, as in a causal decoder."""
    ANY = "any"
    """Others too."""
    NONE = "none"


@dataclass(frozen=True, eq=False)
class Handover:
    """How the next layer receives what a layer emitted."""

    call: Call | None = None
    """The call that receives it unchanged; none when the model computes on it in between."""
    path: Path = ()
    """Where it sits in that call's ``(args, kwargs)``."""


def reach(probe: Probe, link: Link, layout: Layout) -> Reach:
    """Whose logits an edit of the last token of what ``link`` emits moves.

    Without values (fake tensors) the autograd graph tells whether the logits depend on it at all.
    """
    if probe.fake:
        return Reach.OWN if _depends(probe.logits, link.emitted) else Reach.NONE
    returned, _ = probe.edited(link, layout, probe.run)
    moved = (logits_of(returned) != probe.logits).any(-1)
    if not bool(moved.any()):
        return Reach.NONE
    if moved.ndim != 2 or moved.shape[1] != TOKENS or not bool(moved[:, -1].all()):
        return Reach.ANY
    return Reach.ANY if bool(moved[:, :-1].any()) else Reach.OWN


def handover(probe: Probe, link: Link, layout: Layout, following: Link) -> Handover | None:
    """How ``following`` receives what ``link`` emits; ``None`` when an edit of it does not arrive there at all."""
    for call in following.members:
        if (path := call.receives(link.emitted)) is not None:
            return Handover(call, path)
    if probe.fake:
        inputs = [tensor for call in following.members for _, tensor in call.inputs if tensor.requires_grad]
        return Handover() if any(_depends(tensor, link.emitted) for tensor in inputs) else None
    (calls, _), push = probe.edited(link, layout, lambda: record(probe.model, probe.run))
    arrived = None
    for call in following.members:
        same = [again for again in calls if again.module is call.module]
        number = [before for before in probe.calls if before.module is call.module].index(call)
        if number >= len(same):
            continue
        for (path, tensor), (_, edited) in zip(call.inputs, same[number].inputs, strict=False):
            if tensor.shape != edited.shape or not tensor.is_floating_point() or torch.equal(tensor, edited):
                continue
            if tensor.shape == link.emitted.shape and _unchanged(layout, tensor, edited, push):
                return Handover(call, path)
            arrived = Handover()
    return arrived


def read_elsewhere(probe: Probe, link: Link, layout: Layout, receiver: Call, path: Path) -> bool:
    """Something beside ``receiver`` reads what ``link`` emits: to edit what it receives is another thing than to edit
    what is emitted.

    Told by all that the model returns, its memory of hidden states included. Without values nothing can be told.
    """
    if probe.fake:
        return False
    emitted, push = probe.edited(link, layout, probe.run)

    def edit(_module: nn.Module, args: Any, kwargs: Any) -> Any:
        place = replace(layout, path=path)
        residual = layout.canonical(place.read((args, kwargs))).clone()
        residual[:, -1] += push
        return place.write((args, kwargs), layout.native(residual))

    with hooked(receiver.module.register_forward_pre_hook(edit, with_kwargs=True)):
        received = probe.run()
    pairs = zip(tensors_in(emitted), tensors_in(received), strict=False)
    return not all(same_bits(one, other) for (_, one), (_, other) in pairs)


def _unchanged(layout: Layout, plain: Tensor, edited: Tensor, push: Tensor) -> bool:
    """The edit arrives as it was made: the push at the last token and nothing elsewhere."""
    moved = layout.canonical(edited.double() - plain.double())
    moved[:, -1] -= push.double()
    size = max(float(plain.abs().amax()), float(push.abs().amax()))
    return float(moved.abs().amax()) <= _ROUNDING * torch.finfo(plain.dtype).eps * size


def _depends(result: Tensor, source: Tensor) -> bool:
    if not result.requires_grad or not source.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(result.float().sum(), [source], allow_unused=True, retain_graph=True)
    return gradient is not None
