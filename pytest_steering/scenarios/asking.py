"""From a call to what is asked of the model, and which tokens of it a plan steers: by definition."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pytest_steering.architecture.observation import Pass
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.calls import ARGUMENTS, MEMORY, Ask, Asks
from pytest_steering.scenarios.generations import DECODING, ONE_ROW, OPTIONS, REMEMBERS, RUN, of_repetition
from pytest_steering.scenarios.prompts import additive, fed
from pytest_steering.scenarios.steps import Call
from pytest_steering.steering.plan import Positions, SteeringPlan


def asks(harness: Harness, call: Call) -> Asks:
    """What a call asks, one ask after the other: what is remembered first, and what the call is about last."""
    prompt = fed(harness, call.prompt)
    generates = call.run != RUN.plainest
    if generates and (call.decoding in ONE_ROW or call.options == "streamed"):
        prompt = prompt.row(0)
    if generates and call.decoding == "assisted":
        prompt = of_repetition(prompt)
    remembers = {call.run, call.decoding} <= REMEMBERS and prompt.columns > 1
    # A static cache is written to in place, in the dtype that it was made with.
    remembers = remembers and not (call.memory == "static" and call.state in ("autocast", "gradients"))
    todo = MEMORY.make(call.memory if remembers else MEMORY.plainest)(harness, prompt, generates)
    ask: Ask = next(todo)
    while True:
        if generates and not ask.goes_on:
            RUN.make(call.run)(harness, ask)
            DECODING.make(call.decoding)(harness, ask)
            OPTIONS.make(call.options)(harness, ask)
        ARGUMENTS.make(call.arguments)(harness, ask)
        whole = prompt.columns == ask.fed.columns and bool(ask.fed.real.all())
        mask_name = harness.architecture.model_inputs.mask_name
        if call.prompt.mask == "additive" and whole and not ask.generates and mask_name in ask.kwargs:
            ask.kwargs[mask_name] = additive(ask.fed.real).to(harness.architecture.decoder_layers[0].dtype)
        output = yield ask
        try:
            ask = todo.send(output)
        except StopIteration:
            return


def steered_tokens(plan: SteeringPlan, ask: Ask) -> Callable[[Pass], Tensor]:
    """Which tokens of each pass of an ask are steered: ``(rows, columns of the pass)``, boolean."""
    tokens = _tokens_at(plan.positions, ask)
    if plan.rows is None:
        return tokens
    chosen = torch.tensor([row in plan.rows for row in range(len(ask.fed.real))], device=ask.fed.real.device)

    def of_rows(now: Pass) -> Tensor:
        found = tokens(now)
        each = chosen.repeat_interleave(max(1, len(found) // len(chosen)), dim=0) if ask.generates else chosen
        return found & each.unsqueeze(1)

    return of_rows


def _tokens_at(positions: Positions, ask: Ask) -> Callable[[Pass], Tensor]:
    real = ask.fed.real

    def plain(now: Pass) -> Tensor:
        here = real[:, ask.start : ask.start + now.columns]
        if positions is Positions.GENERATED:
            return torch.zeros_like(here)
        return _last(here) if positions is Positions.LAST else here

    def generated(now: Pass) -> Tensor:
        rows, prompt = now.rows or len(real), real.shape[1]
        each = real.repeat_interleave(max(1, rows // len(real)), dim=0)
        new = torch.ones(len(each), max(0, now.start + now.columns - prompt), dtype=torch.bool, device=real.device)
        old, after = {
            Positions.ALL: (each, new),
            Positions.PROMPT: (each, ~new),
            Positions.GENERATED: (torch.zeros_like(each), new),
            Positions.LAST: (_last(each), new),
        }[positions]
        return torch.cat((old, after), dim=1)[:, now.start : now.start + now.columns]

    return generated if ask.generates else plain


def _last(real: Tensor) -> Tensor:
    """Each row's last real token; none in a row without any."""
    columns = torch.arange(real.shape[1], device=real.device)
    last = torch.where(real, columns, -1).amax(dim=1, keepdim=True)
    return columns == last
