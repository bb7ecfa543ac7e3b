"""What sets a residual stream apart, and what a steering vector means there: in a few words and in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from pytest_steering.architecture.candidates import CONTAINERS, Chain, Link
from pytest_steering.architecture.model import DecoderLayer
from pytest_steering.architecture.probing import Handover, Probe


def peculiarities(
    probe: Probe,
    chain: Chain,
    decoder_layers: Sequence[DecoderLayer],
    handovers: Mapping[Link, Handover],
    others: Sequence[str],
) -> Iterator[tuple[str, str]]:
    """Each peculiarity in a few words, with the sentence for the report; the sentence may be empty."""
    classes = {type(decoder_layer.module).__name__ for decoder_layer in decoder_layers}
    if len(classes) > 1:
        yield f"{len(classes)} classes of layers", ""
    yield from _of_the_stream(decoder_layers[0])
    yield from _of_the_layers(probe, chain, decoder_layers, handovers)
    last, before = chain.links[-1], chain.links[:-1]
    beside = [
        path
        for path, tensor in (before[-1].call.outputs if before else ())
        if path != before[-1].path and tensor.shape == last.emitted.shape and last.receives(tensor)
    ]
    if beside:
        where = ", ".join(".".join(map(str, path)) for path in beside)
        yield (
            "another stream handed on",
            f"the layers hand on another stream of that shape, at {where}; it is not steered",
        )
    if "input_ids" in probe.model_inputs.beside:
        yield "encoder beside", "positions are those of the decoder's tokens; the encoder reads one fixed source text"
    if {"pixel_values", "flattened_patches"} & probe.model_inputs.beside.keys():
        yield "needs an image", "the model does not run on text alone, so every row is given one fixed image"
    for path in others:
        yield "another stack", f"{path} writes into the same logits and is not steered"


def contradictions(model: nn.Module, num_layers: int, hidden_size: int) -> Iterator[str]:
    """Where the config says something else than what was measured: evidence to compare with, never the proof."""
    config = getattr(model, "config", None)
    get_text_config = getattr(config, "get_text_config", None)
    text = get_text_config() if callable(get_text_config) else config
    for name, measured, what in (
        ("num_hidden_layers", num_layers, "decoder layers ran"),
        ("hidden_size", hidden_size, "is the width of the residual stream"),
    ):
        said = getattr(text, name, None)
        if isinstance(said, int) and said != measured:
            yield f"the config says {name}={said}, but {measured} {what}"


def _of_the_stream(decoder_layer: DecoderLayer) -> Iterator[tuple[str, str]]:
    layout = decoder_layer.layout
    if layout.sequence_axis < layout.batch_axis:
        yield "sequence first", ""
    if decoder_layer.streams > 1:
        yield (
            f"{decoder_layer.streams} streams",
            f"{decoder_layer.streams} residual streams run side by side; a steering vector is added to each",
        )
    if layout.extra:
        yield (
            f"{layout.extra} positions before the tokens",
            f"the model puts {layout.extra} positions of its own before the tokens; they are not steered",
        )


def in_the_cache(virtual: int) -> tuple[str, str]:
    """The peculiarity of a model whose virtual tokens run through no layer."""
    return (
        f"{virtual} virtual tokens in the cache",
        f"the model puts {virtual} virtual tokens into the cache before the tokens; no layer runs on them, and "
        "positions do not count them",
    )


def _of_the_layers(
    probe: Probe, chain: Chain, decoder_layers: Sequence[DecoderLayer], handovers: Mapping[Link, Handover]
) -> Iterator[tuple[str, str]]:
    calls = max(decoder_layer.calls for decoder_layer in decoder_layers)
    if calls > 1:
        yield (
            f"{calls} calls in a pass",
            f"each layer runs {calls} times in a pass; a steering vector is added each time",
        )
    if chain.family.lists:
        yield (
            f"spread over {len(chain.family.lists)} lists",
            f"each layer is spread over {', '.join(chain.family.lists)}; what its last part emits is steered",
        )
    if handovers and not chain.handed and all(given.call is not None for given in handovers.values()):
        yield (
            "layers return updates",
            "the model's own code adds what a layer returns to the residual stream, and a vector with it",
        )
    elif handovers:
        yield (
            "computed on between layers",
            f"the model's own code computes on the output of {', '.join(link.call.name for link in handovers)} "
            "before the next layer receives it",
        )
    idle = _idle(probe, chain)
    if idle:
        yield (
            "layers that do not run on text",
            f"{', '.join(idle)} do not run on text alone, so they are not counted among the layers",
        )


def _idle(probe: Probe, chain: Chain) -> list[str]:
    """Siblings of the layers in their container that never run."""
    parent = chain.family.parent
    container = probe.model.get_submodule(parent)
    if not isinstance(container, CONTAINERS) or chain.family.lists:
        return []
    ran = {call.module for call in probe.calls}
    return [f"{parent}.{name}" for name, module in container.named_children() if module not in ran]
