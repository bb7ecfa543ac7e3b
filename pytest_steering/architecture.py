"""Finding the decoder layers: run a few tokens, follow the tensors, prove it by an edit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import torch
from torch import nn

from pytest_steering.anatomy import Architecture
from pytest_steering.axes import ROWS, TOKENS
from pytest_steering.chains import Chain, find_chains, first_runs
from pytest_steering.describing import described
from pytest_steering.errors import ArchitectureError
from pytest_steering.links import Link, families
from pytest_steering.probe import Probe, has_no_values
from pytest_steering.proof import Handover, Reach, handover, reach
from pytest_steering.residual import Layout

__all__ = ["Architecture", "detect_architecture"]

_TRIED = 6
"""How many chains of each sort are put to the proof."""


def detect_architecture(model: nn.Module) -> Architecture:
    """The decoder layers of ``model``, found by running a few tokens and following the tensors.

    Five forward passes of ten tokens as a rule, and one more for each layer where the model's own code stands between
    the layers; on the model's own device and without gradients. The model is left as it was found: mode, hooks and
    parameters. Raises ``ArchitectureError`` with the reason when the decoder layers cannot be told. Works under
    ``FakeTensorMode`` too.
    """
    with _evaluating(model), torch.set_grad_enabled(has_no_values(model)):
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
