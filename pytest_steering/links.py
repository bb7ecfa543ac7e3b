"""Candidates for decoder layers: calls that take a residual stream in and hand one of the same shape on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pytest_steering.dataflow import Call

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
    if not any(parameter.ndim >= 2 for call in members for parameter in call.module.parameters()):
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
