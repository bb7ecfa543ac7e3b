"""How the model is called: by which arguments, and with what it remembers of earlier calls."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import StaticCache

from pytest_steering.architecture.inputs import parameters_of
from pytest_steering.architecture.weights import is_sharded
from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.prompts import Fed, Unfit
from pytest_steering.scenarios.space import dimension

ARGUMENTS = dimension("arguments")
MEMORY = dimension("memory")


@dataclass(eq=False)
class Ask:
    """One call of the steered object: a forward pass, or a generation."""

    fed: Fed
    """The tokens of the call, and which of all tokens up to the last of them are real."""
    start: int = 0
    """The absolute column of the first token."""
    generates: bool = False
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    looks_up: bool = False
    """Its candidates are looked up among the prompt's token ids."""
    goes_on: bool = False
    """What it returns is remembered for the next ask."""
    ends: int | None = None
    """The token that ends a row of a generation."""


Asks = Generator[Ask, Any, None]
"""Asks, one after the other; what an ask returned is sent back."""


def ask_of(harness: Harness, fed: Fed, start: int = 0, **kwargs: Any) -> Ask:
    """A forward pass of these tokens by keyword."""
    inputs = harness.architecture.model_inputs.inputs(fed.ids, fed.mask)
    return Ask(fed, start, kwargs={**inputs, **kwargs})


# Arguments


def _nothing(_harness: Harness, _ask: Ask) -> None:
    """Arguments by keyword are how a call is made at first."""


ARGUMENTS.value("arguments by keyword", name="keywords")(_nothing)


@ARGUMENTS.value("token ids by position")
def _positional(harness: Harness, ask: Ask) -> None:
    names = parameters_of(harness.model)
    inputs = harness.architecture.model_inputs
    if names[:1] != [inputs.ids_name]:
        raise Unfit(f"the first argument of the model is not {inputs.ids_name}")
    ask.args = (ask.kwargs.pop(inputs.ids_name),)
    if not ask.generates and names[1:2] == [inputs.mask_name] and ask.kwargs.get(inputs.mask_name) is not None:
        ask.args += (ask.kwargs.pop(inputs.mask_name),)


@ARGUMENTS.value("a prompt that generate is given as inputs", name="inputs", needs=("GENERATE",), alone=True)
def _inputs(harness: Harness, ask: Ask) -> None:
    if ask.generates:
        ask.kwargs["inputs"] = ask.kwargs.pop(harness.architecture.model_inputs.ids_name)


@ARGUMENTS.value("embeddings in place of token ids", needs=("EMBEDDINGS",))
def _embeddings(harness: Harness, ask: Ask) -> None:
    name = harness.architecture.model_inputs.ids_name
    if name != "input_ids" or "inputs_embeds" not in parameters_of(harness.model):
        raise Unfit("the model takes no embeddings in place of token ids")
    if any(map(is_sharded, harness.model.modules())):
        raise Unfit("FSDP2 gathers the table of embeddings inside a pass alone")
    if ask.looks_up:
        return
    ids = ask.kwargs.pop(name)
    with torch.no_grad():
        ask.kwargs["inputs_embeds"] = harness.model.get_input_embeddings()(ids)  # type: ignore[operator]


@ARGUMENTS.value("position ids given", forward=True)
def _positions(harness: Harness, ask: Ask) -> None:
    if ask.generates:
        return
    if not harness.architecture.model_inputs.numbered:
        raise Unfit("the model takes no position_ids")
    count = (ask.fed.real.long().cumsum(1) - 1).clamp_min(0)
    ask.kwargs["position_ids"] = count[:, ask.start : ask.start + ask.fed.columns] + 1


@ARGUMENTS.value("labels", forward=True)
def _labels(_harness: Harness, ask: Ask) -> None:
    if not ask.generates:
        labels = ask.fed.ids.clone()
        # Some tokens count for the loss and others do not, in each row another number.
        labels[0, : labels.shape[1] // 2] = -100
        ask.kwargs["labels"] = labels


@ARGUMENTS.value("return_dict=False", name="tuple", forward=True)
def _as_tuple(_harness: Harness, ask: Ask) -> None:
    if not ask.generates and not ask.goes_on:
        ask.kwargs["return_dict"] = False


@ARGUMENTS.value("output_hidden_states=True", forward=True)
def _hidden_states(_harness: Harness, ask: Ask) -> None:
    if not ask.generates:
        ask.kwargs["output_hidden_states"] = True


@ARGUMENTS.value("the last token's logits alone", forward=True)
def _last_logits(harness: Harness, ask: Ask) -> None:
    if ask.generates:
        return
    if "logits_to_keep" not in parameters_of(harness.model):
        raise Unfit("the model takes no logits_to_keep")
    ask.kwargs["logits_to_keep"] = 1


# Memory


@MEMORY.value("no memory", name="none")
def _none(harness: Harness, fed: Fed, _generates: bool) -> Asks:
    yield ask_of(harness, fed)


@MEMORY.value("the caller's own cache", needs=("CALLER_CACHE",))
def _callers(harness: Harness, fed: Fed, generates: bool) -> Asks:
    middle = fed.columns // 2
    # The model returns a cache also where nothing is said of one.
    first = _first(harness, fed, middle)
    del first.kwargs["use_cache"]
    yield _next(harness, fed, middle, remembered((yield first)), generates)


@MEMORY.value("a cache that was cut back", needs=("CALLER_CACHE",))
def _cropped(harness: Harness, fed: Fed, generates: bool) -> Asks:
    middle = fed.columns // 2
    cache = remembered((yield _first(harness, fed, fed.columns - 1)))
    if not hasattr(cache, "crop"):
        raise Unfit("the model's cache cannot be cut back")
    cache.crop(middle - (fed.columns - 1))
    yield _next(harness, fed, middle, cache, generates)


@MEMORY.value("a cache whose rows were reordered", needs=("CALLER_CACHE", "BATCH"), alone=True)
def _reordered(harness: Harness, fed: Fed, generates: bool) -> Asks:
    middle, order = fed.columns // 2, torch.arange(len(fed.ids), device=fed.ids.device).flip(0)
    cache = remembered((yield _first(harness, fed, middle)))
    if not hasattr(cache, "reorder_cache"):
        raise Unfit("the rows of the model's cache cannot be reordered")
    cache.reorder_cache(order)
    yield _next(harness, fed.reordered(order), middle, cache, generates)


@MEMORY.value("a static cache", needs=("CALLER_CACHE",))
def _static(harness: Harness, fed: Fed, generates: bool) -> Asks:
    yield from _static_asks(harness, fed, generates)


_FURTHER = 16
"""For so many tokens more than the prompt's there is room."""


def _static_asks(harness: Harness, fed: Fed, generates: bool) -> Iterator[Ask]:
    config: Any = getattr(harness.model, "config", None)
    if not hasattr(config, "to_dict"):
        raise Unfit("the model has no config that a static cache could be made from")
    middle = fed.columns // 2
    cache = StaticCache(config=config, max_cache_len=fed.columns + _FURTHER)
    yield _first(harness, fed, middle, past_key_values=cache)
    yield _next(harness, fed, middle, cache, generates)


@MEMORY.value("a static cache and a mask as wide as it", needs=("CALLER_CACHE",), name="static-wide", alone=True)
def _static_wide(harness: Harness, fed: Fed, generates: bool) -> Asks:
    name = harness.architecture.model_inputs.mask_name
    for ask in _static_asks(harness, fed, generates):
        mask = ask.kwargs.get(name)
        if mask is not None and (ask.goes_on or not generates):  # generate lengthens the mask itself
            room = fed.columns + _FURTHER - mask.shape[1]
            ask.kwargs[name] = torch.nn.functional.pad(mask, (0, room), value=0)
        yield ask


def remembered(output: Any) -> Any:
    """The memory that a model returned, which the next call may be given."""
    cache = getattr(output, "past_key_values", None)
    if cache is None:
        raise Unfit("the model returns no past_key_values")
    return cache


def _first(harness: Harness, fed: Fed, end: int, **more: Any) -> Ask:
    ask = ask_of(harness, fed.cut(0, end), use_cache=True, **more)
    ask.goes_on = True
    return ask


def _next(harness: Harness, fed: Fed, start: int, cache: Any, generates: bool) -> Ask:
    """What follows on what is remembered: ``generate`` is given all tokens, a forward pass the new ones."""
    if harness.unsteered.forgets:
        raise Unfit(harness.unsteered.forgets)
    if generates:
        return ask_of(harness, fed, past_key_values=cache)
    return ask_of(harness, fed.cut(start, fed.columns), start, past_key_values=cache, use_cache=True)


def tensors_of(output: Any, path: str = "") -> dict[str, Tensor]:
    """Every tensor in what a call returned, by its path; memory and hidden states are left out.

    In a tuple nothing has a name: what lies deeper than its own tensors is hidden states, attentions or memory.
    """
    if isinstance(output, Tensor):
        return {path: output}
    if hasattr(output, "items"):
        pairs = [(str(key), value) for key, value in output.items() if key not in _UNCOMPARED]
    elif isinstance(output, tuple | list):
        deeper = () if path else (tuple, list)
        pairs = [(str(number), value) for number, value in enumerate(output) if not isinstance(value, deeper)]
    else:
        return {}
    return {key: tensor for name, value in pairs for key, tensor in tensors_of(value, f"{path}.{name}").items()}


_UNCOMPARED = frozenset(
    {"past_key_values", "hidden_states", "decoder_hidden_states", "cache_params", "mems", "encoder_hidden_states"}
)
"""What right adapters show differently, or what later passes are judged by."""
