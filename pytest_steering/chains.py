"""Chains of sibling layers that hand one residual stream from each to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from pytest_steering.links import Family, Link


@dataclass(frozen=True, eq=False)
class Chain:
    """Links of one family, each of which receives what the one before emitted."""

    family: Family
    links: tuple[Link, ...]
    handed: bool
    """Somewhere in it the very tensor that one link returned is received by the next."""
    weight: float
    """How much of the model the chain is: its effective number of layers times its share of the parameters."""

    @property
    def modules(self) -> list[nn.Module]:
        """The distinct emitting modules, in order of first use."""
        return list(dict.fromkeys(link.module for link in self.links))

    @property
    def last(self) -> Link:
        """The last link."""
        return self.links[-1]


def find_chains(model: nn.Module, groups: Sequence[Family]) -> tuple[list[Chain], list[Chain]]:
    """Chains in which each link receives the very tensor that the one before returned, and families in which none does.

    Both with the weightiest first; of equals the one that ends last, because it is nearer to the logits. The second
    are chains only if the model's own code hands the stream on, which is still to be shown.
    """
    total = sum(parameter.numel() for parameter in model.parameters()) or 1
    handed, loose = [], []
    for family in groups:
        for links in _by_shape(family):
            longest = _longest(links)
            if len(longest) > 1 or (family.contained and len(_modules(links)) == 1):
                handed.append(Chain(family, longest, True, _weight(longest, total)))
            elif len(_modules(links)) > 1:
                firsts = tuple(first_runs(links))
                loose.append(Chain(family, firsts, False, _weight(firsts, total)))
    return _sorted(handed), _sorted(loose)


def first_runs(links: Sequence[Link]) -> list[Link]:
    """The first link of each emitting module, in order."""
    firsts: dict[nn.Module, Link] = {}
    for link in links:
        firsts.setdefault(link.module, link)
    return list(firsts.values())


def _by_shape(family: Family) -> list[list[Link]]:
    groups: dict[object, list[Link]] = defaultdict(list)
    for link in family.links:
        groups[link.emitted.shape].append(link)
    return list(groups.values())


def _modules(links: Sequence[Link]) -> set[nn.Module]:
    return {link.module for link in links}


def _longest(links: Sequence[Link]) -> tuple[Link, ...]:
    """The longest run of links in which each receives what the one before emitted."""
    best: dict[int, tuple[Link, ...]] = {}
    by_received: dict[int, list[int]] = defaultdict(list)
    for index, link in enumerate(links):
        for tensor in {id(tensor): tensor for call in link.members for _, tensor in call.inputs}.values():
            by_received[id(tensor)].append(index)
    for index in reversed(range(len(links))):
        link = links[index]
        followers = [
            best[follower]
            for follower in by_received[id(link.emitted)]
            if follower > index and links[follower].started > link.call.ended
        ]
        # A layer may hand on two streams: the chain stays with one of them.
        followers.sort(key=lambda run: (len(run), run[0].path == link.path))
        best[index] = (link, *(followers[-1] if followers else ()))
    return max(best.values(), key=len, default=())


def _weight(chain: Sequence[Link], total: int) -> float:
    """Effective number of layers times share of parameters.

    The effective number (the inverse participation ratio of their sizes) is n for n equal layers and about 1 for a
    small part beside a big one, so a chain of two big parents does not outweigh the layers inside them, and a deep
    feed-forward inside one layer does not outweigh the layers around it.
    """
    parts = {link.module: [call.module for call in link.members] for link in chain}
    sizes = [sum(p.numel() for module in modules for p in module.parameters()) for modules in parts.values()]
    if not sum(sizes):
        return 0.0
    return sum(sizes) ** 2 / sum(size * size for size in sizes) * sum(sizes) / total


def _sorted(chains: list[Chain]) -> list[Chain]:
    return sorted(chains, key=lambda chain: (-round(chain.weight, 9), -chain.last.call.ended))
