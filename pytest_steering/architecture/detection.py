"""Finding the decoder layers: run a few tokens, follow the tensors, prove it by an edit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from pytest_steering.architecture.axes import ROWS, TOKENS
from pytest_steering.architecture.candidates import CONTAINERS, Chain, Link, families, find_chains, first_runs
from pytest_steering.architecture.compiled import eager
from pytest_steering.architecture.entry import entry_of
from pytest_steering.architecture.model import Architecture, DecoderLayer
from pytest_steering.architecture.probing import Handover, Probe, Reach, handover, has_no_values, reach, read_elsewhere
from pytest_steering.architecture.residual import Layout, Path, kind_of
from pytest_steering.architecture.tracing import Call
from pytest_steering.architecture.traits import contradictions, in_the_cache, peculiarities
from pytest_steering.errors import ArchitectureError

_TRIED = 6
"""How many chains of each sort are put to the proof."""


def detect_architecture(model: nn.Module) -> Architecture:
    """The decoder layers of ``model``, found by running a few tokens and following the tensors.

    Five forward passes of ten tokens as a rule, and one more for each layer where the model's own code stands between
    the layers; on the model's own device and without gradients. The model is left as it was found: mode, hooks and
    parameters. Raises ``ArchitectureError`` with the reason when the decoder layers cannot be told. Works under
    ``FakeTensorMode`` too.
    """
    with eager(model), _evaluating(model), torch.set_grad_enabled(has_no_values(model)):
        probe = Probe(model)
        chosen, others = _proven(probe, _candidates(probe))
        return described(probe, chosen.chain, chosen.layout, chosen.handovers, others)


class _Candidate:
    """A chain with the axes of its residual stream, and how each layer's output reaches the next."""

    def __init__(self, probe: Probe, chain: Chain, layout: Layout) -> None:
        self.chain, self.layout = chain, layout
        self.handovers: dict[Link, Handover] = {}
        self._probe = probe

    def complete(self) -> bool:
        """The chain holds every layer of its family that takes part, also where the model computes in between.

        False when fewer than two are left of a family in which no tensor is handed on.
        """
        known, links = self.chain.modules, first_runs(self._of_this_shape())
        if self.chain.handed and {link.module for link in links} <= set(known):
            return True
        runs: list[list[Link]] = [[links[0]]]
        for before, after in pairwise(links):
            given = handover(self._probe, before, self.layout, after)
            if given is None:
                runs.append([])
            elif not after.receives(before.emitted):
                self.handovers[before] = given
            runs[-1].append(after)
        longest = tuple(sorted(runs, key=len)[-1])
        if not self.chain.handed or len(longest) > len(known):
            self.chain = replace(self.chain, links=longest)
        return self.chain.handed or len(longest) > 1

    def _of_this_shape(self) -> list[Link]:
        return [link for link in self.chain.family.links if link.emitted.shape == self.chain.last.emitted.shape]


def _candidates(probe: Probe) -> list[list[_Candidate]]:
    """Chains whose axes can be told, in two lists: those that hand tensors on, and those that may."""
    groups = families(probe.model, probe.calls, probe.logits)
    sorts, untold = [], []
    for chains in find_chains(probe.model, groups):
        found = []
        for chain in chains:
            layout = probe.layout(chain.last)
            if layout is None:
                untold.append(chain)
            else:
                found.append(_Candidate(probe, chain, layout))
            if len(found) == _TRIED:
                break
        sorts.append(found)
    if not any(sorts) and untold:
        chain = untold[0]
        raise ArchitectureError(
            f"the residual stream of {chain.family.parent or 'the root'} in {type(probe.model).__name__} has shape "
            f"{tuple(chain.last.emitted.shape)} for {ROWS} rows of {TOKENS} tokens: its batch and sequence axes "
            "cannot be told"
        )
    if not any(sorts):
        raise ArchitectureError(
            f"no decoder layers found in {type(probe.model).__name__}: no module hands a residual stream on "
            "to a sibling of the same width"
        )
    return sorts


def _proven(probe: Probe, sorts: Sequence[Sequence[_Candidate]]) -> tuple[_Candidate, list[Chain]]:
    """The weightiest candidate whose edit reaches the logits where, and only where, a causal decoder writes them.

    And beside it the other chains that reach the logits and are not inside it or around it.
    """
    reached: dict[Reach, list[_Candidate]] = {Reach.OWN: [], Reach.ANY: []}
    for candidates in sorts:
        for candidate in candidates:
            if not candidate.complete():
                continue
            where = reach(probe, candidate.chain.last, candidate.layout)
            if where is Reach.NONE:
                continue
            reached[where].append(candidate)
            if where is Reach.OWN:
                chosen = _within(probe, candidate, candidates) or candidate
                return chosen, _beside(probe, chosen, candidates)
    if not reached[Reach.ANY]:
        tried = [candidate.chain for candidates in sorts for candidate in candidates][:4]
        names = ", ".join(f"{chain.family.parent or 'the root'} ({len(chain.modules)})" for chain in tried)
        raise ArchitectureError(f"no chain of layers writes the logits: editing {names} changes nothing")
    return reached[Reach.ANY][0], []


def _within(probe: Probe, outer: _Candidate, candidates: Sequence[_Candidate]) -> _Candidate | None:
    """The row of layers inside the last of a few big parts that hand the stream on: a decoder behind an encoder."""
    if outer.chain.family.contained:
        return None
    last = replace(outer.chain, links=outer.chain.links[-1:])
    for inner in candidates:
        inside = inner.chain.family.contained and _nested(inner.chain, last) and inner.complete()
        if inside and reach(probe, inner.chain.last, inner.layout) is Reach.OWN:
            return inner
    return None


def _beside(probe: Probe, chosen: _Candidate, candidates: Sequence[_Candidate]) -> list[Chain]:
    """Other stacks of much the same weight that write into the same logits."""
    found = []
    for other in candidates:
        if other is chosen or other.chain.weight < chosen.chain.weight / 2:
            continue
        if _nested(other.chain, chosen.chain) or _nested(chosen.chain, other.chain):
            continue
        if reach(probe, other.chain.last, other.layout) is not Reach.NONE:
            found.append(other.chain)
    return found


def _nested(inner: Chain, outer: Chain) -> bool:
    around = {module for link in outer.links for call in link.members for module in call.module.modules()}
    return any(call.module in around for link in inner.links for call in link.members)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Every module is in evaluation mode inside, and in its own mode again afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


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
    decoder_layers = tuple(
        _emission(probe, link, layout, handovers, after) for link, after in zip(links, followers, strict=True)
    )
    if chain.family.lists or handovers or not _alone(probe, links, decoder_layers, (len(links) - 1) // 2, layout):
        decoder_layers = tuple(replace(decoder_layer, alone=False) for decoder_layer in decoder_layers)
    elif not _alone(probe, links, decoder_layers, -1, layout):
        decoder_layers = (*decoder_layers[:-1], replace(decoder_layers[-1], alone=False))
    hidden_size = links[0].emitted.shape[-1]
    paths = [container_path(model, other) for other in others]
    peculiar = list(peculiarities(probe, chain, decoder_layers, handovers, paths))
    entry, extra = entry_of(probe, links[0], layout)
    if extra.virtual and not layout.extra:
        peculiar.append(in_the_cache(extra.virtual))
    return Architecture(
        layers_path=container_path(model, chain),
        decoder_layers=decoder_layers,
        entry_name=entry,
        entry=model.get_submodule(entry),
        model_inputs=probe.model_inputs,
        hidden_size=hidden_size,
        anatomy=tuple(trait for trait, _ in peculiar),
        notes=(*contradictions(model, len(decoder_layers), hidden_size), *(note for _, note in peculiar if note)),
        extra_positions=extra,
        model_class=type(model),
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
) -> DecoderLayer:
    calls = [call for call in probe.calls if call.module is link.module]
    given = handovers.get(link)
    receiver, path = (given.call, given.path) if given else _receiver(probe.calls, link, calls, following)
    return DecoderLayer(
        name=link.call.name,
        module=link.module,
        parts=tuple(call.module for call in link.members),
        kind=kind_of(link.call.output),
        layout=replace(layout, path=link.path),
        dtype=link.emitted.dtype,
        receiver_name=receiver.name if receiver else "",
        receiver=receiver.module if receiver else None,
        receiver_layout=replace(layout, path=path),
        calls=len(calls),
        alone=receiver is None or not _read_after(probe.calls, link, receiver),
        streams=math.prod(layout.canonical(link.emitted).shape[2:-1]),
    )


def _read_after(everything: Sequence[Call], link: Link, receiver: Call) -> bool:
    """A module that runs after the receiver is given what the layer emitted, too."""
    return any(call.receives(link.emitted) is not None for call in everything if call.started > receiver.ended)


def _alone(
    probe: Probe, links: Sequence[Link], decoder_layers: Sequence[DecoderLayer], index: int, layout: Layout
) -> bool:
    """Nothing but its receiver reads what the layer emits; of a layer that runs several times this is not known."""
    decoder_layer = decoder_layers[index]
    receiver = next((call for call in probe.calls if call.module is decoder_layer.receiver), None)
    if receiver is None or decoder_layer.calls > 1:
        return receiver is None
    return not read_elsewhere(probe, links[index], layout, receiver, decoder_layer.receiver_layout.path)


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
