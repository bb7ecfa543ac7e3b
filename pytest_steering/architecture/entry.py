"""Where a forward pass begins: the module that is given the tokens, with what a wrapper puts before them."""

from __future__ import annotations

import inspect

from pytest_steering.architecture.axes import ROWS, TOKENS
from pytest_steering.architecture.candidates import Link
from pytest_steering.architecture.inputs import input_mask, parameters_of
from pytest_steering.architecture.probing import Probe
from pytest_steering.architecture.residual import Layout
from pytest_steering.architecture.tracing import Call
from pytest_steering.architecture.virtual_tokens import ExtraPositions


def entry_of(probe: Probe, first: Link, layout: Layout) -> tuple[str, ExtraPositions]:
    """The innermost module around the layers that receives the token ids, and the mask if the model takes one.

    One inside it that receives them with virtual tokens before them, in the mask at least, takes its place: the model
    in a wrapper may generate around it.
    """
    around = [call for call in probe.calls if call.started < first.started and call.ended > first.call.ended]
    plain = [call for call in around if call.receives(probe.ids) is not None and _masked(probe, call)]
    entry, extra = plain[-1].name if plain else "", ExtraPositions(layout.extra)
    inside = around[around.index(plain[-1]) + 1 :] if plain else around
    for call in inside:
        virtual, embedded = _virtual(call)
        if virtual > 0:
            entry, extra = call.name, ExtraPositions(layout.extra, virtual, embedded)
    return entry, extra


def _virtual(call: Call) -> tuple[int, int]:
    """How many virtual tokens stand before the tokens in the mask of this call, and among its tokens; 0 if none do."""
    names = parameters_of(call.module)
    given = {
        names[path[1]] if isinstance(path[1], int) and path[1] < len(names) else str(path[1]): tensor
        for path, tensor in call.inputs
        if len(path) == 2
    }
    mask = input_mask(given)
    tokens = given.get("inputs_embeds", given.get("input_ids"))
    if mask is None or tokens is None or len(tokens) != ROWS or len(mask) != ROWS:
        return 0, 0
    return mask.shape[1] - TOKENS, tokens.shape[1] - TOKENS


def _masked(probe: Probe, call: Call) -> bool:
    """The call is given the attention mask, or could be where the run had none, or the model takes none."""
    if not probe.model_inputs.mask_name:
        return True
    if probe.mask is not None:
        return call.receives(probe.mask) is not None
    return "attention_mask" in inspect.signature(call.module.forward).parameters
