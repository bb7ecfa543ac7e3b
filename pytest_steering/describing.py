"""From a proven chain to what is known of the model's anatomy."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from pytest_steering.anatomy import Architecture, Emission
from pytest_steering.chains import Chain, first_runs
from pytest_steering.dataflow import Call
from pytest_steering.links import CONTAINERS, Link
from pytest_steering.peculiarities import contradictions, peculiarities
from pytest_steering.probe import Probe
from pytest_steering.proof import Handover, read_elsewhere
from pytest_steering.residual import Layout, Path, kind_of


def described(
    probe: Probe, chain: Chain, layout: Layout, handovers: Mapping[Link, Handover], others: Sequence[Chain]
) -> Architecture:
    """The architecture whose decoder layers are ``chain``.

    ``layout`` tells the axes of the residual stream; ``handovers`` say how a layer's output reaches the next where no
    tensor is handed on; ``others`` are chains beside it that reach the logits too.
    """
    model = probe.model
    links = first_runs(chain.links)
    followers = [*links[1:], None]
    emissions = tuple(
        _emission(probe, link, layout, handovers, after) for link, after in zip(links, followers, strict=True)
    )
    if chain.family.lists or handovers or not _alone(probe, links, emissions, (len(links) - 1) // 2, layout):
        emissions = tuple(replace(emission, alone=False) for emission in emissions)
    elif not _alone(probe, links, emissions, -1, layout):
        emissions = (*emissions[:-1], replace(emissions[-1], alone=False))
    hidden_size = links[0].emitted.shape[-1]
    paths = [container_path(model, other) for other in others]
    peculiar = list(peculiarities(probe, chain, emissions, handovers, paths))
    entry_name, entry = _entry(probe, links[0])
    return Architecture(
        layers_path=container_path(model, chain),
        emissions=emissions,
        entry_name=entry_name,
        entry=entry,
        feed=probe.feed,
        hidden_size=hidden_size,
        anatomy=tuple(trait for trait, _ in peculiar),
        notes=(*contradictions(model, len(emissions), hidden_size), *(note for _, note in peculiar if note)),
        model_class=type(model).__name__,
    )


def container_path(model: nn.Module, chain: Chain) -> str:
    """The dotted path of the container that emits, or of the numbered attributes (``decoder.block_*``)."""
    parent = chain.last.call.name.rpartition(".")[0]
    if isinstance(model.get_submodule(parent), CONTAINERS):
        return parent or "(root)"
    names = [link.call.name.rpartition(".")[2] for link in chain.links]
    stems = {name.rstrip("0123456789") for name in names}
    stem = stems.pop() if len(stems) == 1 else ""
    return ".".join(part for part in (parent, f"{stem}*") if part)


def _emission(
    probe: Probe, link: Link, layout: Layout, handovers: Mapping[Link, Handover], following: Link | None
) -> Emission:
    calls = [call for call in probe.calls if call.module is link.module]
    given = handovers.get(link)
    receiver, path = (given.call, given.path) if given else _receiver(probe.calls, link, calls, following)
    return Emission(
        name=link.call.name,
        module=link.module,
        parts=tuple(call.module for call in link.members),
        kind=kind_of(link.call.output),
        layout=replace(layout, path=link.path),
        dtype=link.emitted.dtype,
        receiver_name=receiver.name if receiver else "",
        receiver=receiver.module if receiver else None,
        arrival=replace(layout, path=path),
        calls=len(calls),
        alone=receiver is None or not _read_after(probe.calls, link, receiver),
        streams=math.prod(layout.canonical(link.emitted).shape[2:-1]),
    )


def _read_after(everything: Sequence[Call], link: Link, receiver: Call) -> bool:
    """A module that runs after the receiver is given what the layer emitted, too."""
    return any(call.receives(link.emitted) is not None for call in everything if call.started > receiver.ended)


def _alone(probe: Probe, links: Sequence[Link], emissions: Sequence[Emission], index: int, layout: Layout) -> bool:
    """Nothing but its receiver reads what the layer emits; of a layer that runs several times this is not known."""
    emission = emissions[index]
    receiver = next((call for call in probe.calls if call.module is emission.receiver), None)
    if receiver is None or emission.calls > 1:
        return receiver is None
    return not read_elsewhere(probe, links[index], layout, receiver, emission.arrival.path)


def _receiver(
    everything: Sequence[Call], link: Link, calls: Sequence[Call], following: Link | None
) -> tuple[Call | None, Path]:
    """The module that receives exactly what each call of the layer emitted, once for each: the next layer if it does.

    A module that is called for something else too, such as the layer itself where it runs in a loop, is none.
    """
    emitted = [_tensor_at(call, link.path) for call in calls]
    for call in (*(following.members if following else ()), *everything):
        path = call.receives(link.emitted) if call.started > link.call.ended else None
        if path is None:
            continue
        received = [other for other in everything if other.module is call.module]
        if len(received) == len(calls) and all(
            other.receives(tensor) == path for other, tensor in zip(received, emitted, strict=True)
        ):
            return call, path
    return None, ()


def _tensor_at(call: Call, path: Path) -> Any:
    return next((tensor for place, tensor in call.outputs if place == path), None)


def _entry(probe: Probe, first: Link) -> tuple[str, nn.Module]:
    """The innermost module around the layers that receives the token ids, and the mask if the model takes one."""
    around = [
        call
        for call in probe.calls
        if call.started < first.started
        and call.ended > first.call.ended
        and call.receives(probe.ids) is not None
        and _masked(probe, call)
    ]
    return (around[-1].name, around[-1].module) if around else ("", probe.model)


def _masked(probe: Probe, call: Call) -> bool:
    """The call is given the attention mask, or could be where the run had none, or the model takes none."""
    if not probe.feed.mask_name:
        return True
    if probe.mask is not None:
        return call.receives(probe.mask) is not None
    return "attention_mask" in inspect.signature(call.module.forward).parameters
