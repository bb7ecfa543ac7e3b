"""Candidates for decoder layers: calls that take a residual stream in and hand one of the same shape on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pytest_steering.architecture.tracing import Call
from pytest_steering.architecture.weights import mixes, weights_of

CONTAINERS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)


@dataclass(frozen=True, eq=False)
class Link:
    """A layer that receives a residual stream and returns one of the same shape."""

    call: Call
    """The call that emits: the layer's own, or that of its last part where a layer is spread over several lists."""
    members: tuple[Call, ...]
    """All calls that make up the layer, in order."""
    number: int
    """How often the emitting module had run before in this pass."""
    emitted: Tensor
    path: tuple[int | str, ...]
    """Where the emitted tensor sits in the output."""

    @property
    def module(self) -> nn.Module:
        """The module that emits."""
        return self.call.module

    @property
    def started(self) -> int:
        """When the first of its calls began."""
        return self.members[0].started

    def receives(self, tensor: Tensor) -> bool:
        """One of its calls received exactly ``tensor``."""
        return any(call.receives(tensor) is not None for call in self.members)


@dataclass(frozen=True, eq=False)
class Family:
    """Links that stand side by side in the model, in the order in which they ran."""

    parent: str
    """Dotted name of what holds them; the first of several lists where layers are spread over lists."""
    lists: tuple[str, ...]
    """The parallel lists that the layers are spread over; empty as a rule."""
    contained: bool
    """They stand in a container or are numbered attributes: somebody put them in a row."""
    links: tuple[Link, ...]


def families(model: nn.Module, calls: Sequence[Call], logits: Tensor) -> list[Family]:
    """Every group of sibling calls that could be the decoder layers."""
    siblings: dict[str, list[Call]] = defaultdict(list)
    numbers: dict[Call, int] = {}
    seen: dict[nn.Module, int] = defaultdict(int)
    for call in calls:
        numbers[call] = seen[call.module]
        seen[call.module] += 1
        if call.name:
            siblings[call.name.rpartition(".")[0]].append(call)
    lists = {name: group for name, group in siblings.items() if isinstance(model.get_submodule(name), CONTAINERS)}
    found = []
    for names in _parallel(lists):
        links = tuple(link for members in _spread(names, lists) for link in _links(members, numbers, logits))
        found.append(Family(names[0], tuple(names), True, links))
    for parent, group in siblings.items():
        rows = [(True, group)] if parent in lists else _by_stem(group)
        for in_a_row, alike in rows:
            links = tuple(link for call in alike for link in _links((call,), numbers, logits))
            found.append(Family(parent, (), in_a_row, links))
    return [family for family in found if family.links]


def _links(members: tuple[Call, ...], numbers: dict[Call, int], logits: Tensor) -> Iterator[Link]:
    # A decoder layer mixes features, so it holds a matrix: a norm or a dropout between layers is not a layer.
    if not any(mixes(call.module) for call in members):
        return
    last = members[-1]
    # Nor is one projection beside the layers, though it may hand on a stream of the same width.
    if len(members) == 1 and isinstance(last.module, nn.Linear | Conv1D):
        return
    shapes = {tensor.shape for call in members for _, tensor in call.inputs if tensor.is_floating_point()}
    for path, emitted in last.outputs:
        if emitted.is_floating_point() and emitted.ndim > 1 and emitted is not logits and emitted.shape in shapes:
            yield Link(last, members, numbers[last], emitted, path)


def _by_stem(group: Sequence[Call]) -> list[tuple[bool, list[Call]]]:
    """Attributes that are numbered belong together (``block_0``, ``block_1``), and the others do."""
    stems: dict[str, list[Call]] = defaultdict(list)
    for call in group:
        name = call.name.rpartition(".")[2]
        stem = name.rstrip("0123456789")
        stems[stem if stem != name else ""].append(call)
    return [(bool(stem), alike) for stem, alike in stems.items()]


def _parallel(lists: dict[str, list[Call]]) -> Iterator[list[str]]:
    """Names of sibling lists of equal length that run interleaved: the first of each, then the second of each, …"""
    beside: dict[tuple[str, int], list[str]] = defaultdict(list)
    for name, group in lists.items():
        beside[name.rpartition(".")[0], len({call.module for call in group})].append(name)
    for (_, length), names in beside.items():
        if length < 2 or len(names) < 2:
            continue
        layers = _spread(names, lists)
        if all(before[-1].ended < after[0].started for before, after in pairwise(layers)):
            yield names


def _spread(names: Sequence[str], lists: dict[str, list[Call]]) -> list[tuple[Call, ...]]:
    """The first calls that make up each layer that is spread over parallel lists, in the order in which they ran."""
    columns = []
    for name in names:
        firsts: dict[nn.Module, Call] = {}
        for call in lists[name]:
            firsts.setdefault(call.module, call)
        columns.append(firsts.values())
    return [tuple(sorted(layer, key=lambda call: call.started)) for layer in zip(*columns, strict=True)]


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
    total = sum(weight.numel() for weight in weights_of(model)) or 1
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
    sizes = [sum(weight.numel() for module in modules for weight in weights_of(module)) for modules in parts.values()]
    if not sum(sizes):
        return 0.0
    return sum(sizes) ** 2 / sum(size * size for size in sizes) * sum(sizes) / total


def _sorted(chains: list[Chain]) -> list[Chain]:
    return sorted(chains, key=lambda chain: (-round(chain.weight, 9), -chain.last.call.ended))
