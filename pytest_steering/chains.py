"""Chains of sibling modules that hand one residual stream from each to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from pytest_steering.dataflow import Call
from pytest_steering.residual import Path

CONTAINERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)


@dataclass(frozen=True, eq=False)
class Link:
    """A call that receives a residual stream and returns one of the same shape."""

    call: Call
    received: Tensor
    emitted: Tensor
    path: Path
    """Where the emitted tensor sits in the output."""


@dataclass(frozen=True, eq=False)
class Chain:
    """Links of sibling modules, each of which receives exactly the tensor that the one before returned."""

    parent: str
    links: tuple[Link, ...]
    weight: float
    """How much of the model the chain is: its effective number of links times its share of the parameters."""

    @property
    def modules(self) -> list[nn.Module]:
        """The distinct modules, in order of first use."""
        return list(dict.fromkeys(link.call.module for link in self.links))


def find_chains(model: nn.Module, calls: Sequence[Call], logits: Tensor) -> list[Chain]:
    """Every maximal chain, the weightiest first."""
    families: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.name:
            families[call.name.rpartition(".")[0]].append(call)
    total = sum(parameter.numel() for parameter in model.parameters()) or 1
    chains = []
    for parent, family in families.items():
        links = [link for call in family for link in _links(call, logits)]
        chain = _longest(links)
        if len(chain) > 1 or (chain and isinstance(model.get_submodule(parent), CONTAINERS)):
            chains.append(Chain(parent, chain, _weight(chain, total)))
    return sorted(chains, key=lambda chain: -chain.weight)


def _links(call: Call, logits: Tensor) -> Iterator[Link]:
    # A decoder layer mixes features, so it holds a matrix: a norm or a dropout between layers is not a layer.
    if not any(parameter.ndim >= 2 for parameter in call.module.parameters()):
        return
    for path, emitted in call.outputs:
        if not emitted.is_floating_point() or emitted.ndim < 2 or emitted is logits:
            continue
        for _, received in call.inputs:
            if received.shape == emitted.shape and received.is_floating_point():
                yield Link(call, received, emitted, path)
                break


def _longest(links: Sequence[Link]) -> tuple[Link, ...]:
    """The longest run of links in which each receives what the one before emitted."""
    best: dict[int, tuple[Link, ...]] = {}
    by_received: dict[int, list[int]] = defaultdict(list)
    for index, link in enumerate(links):
        for _, tensor in link.call.inputs:
            by_received[id(tensor)].append(index)
    for index in reversed(range(len(links))):
        link = links[index]
        followers = [
            best[follower]
            for follower in by_received[id(link.emitted)]
            if follower > index
            and links[follower].call.started > link.call.ended
            and links[follower].emitted.shape == link.emitted.shape
        ]
        best[index] = (link, *max(followers, key=len, default=()))
    return max(best.values(), key=len, default=())


def _weight(chain: Sequence[Link], total: int) -> float:
    """Effective number of links times share of parameters.

    The effective number (the inverse participation ratio of their sizes) is n for n equal layers and about 1 for a
    small part beside a big one, so a chain of two big parents does not outweigh the layers inside them, and a deep
    feed-forward inside one layer does not outweigh the layers around it.
    """
    sizes = [
        sum(parameter.numel() for parameter in module.parameters())
        for module in dict.fromkeys(link.call.module for link in chain)
    ]
    if not sum(sizes):
        return 0.0
    return sum(sizes) ** 2 / sum(size * size for size in sizes) * sum(sizes) / total
