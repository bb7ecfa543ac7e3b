"""What is known of a model's anatomy: its decoder layers, its hidden size, who receives what they emit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from pytest_steering.architecture.facts import found
from pytest_steering.architecture.inputs import ModelInputs
from pytest_steering.architecture.residual import Layout
from pytest_steering.architecture.virtual_tokens import NONE, ExtraPositions

FINAL_LAYERS = 3


@dataclass(frozen=True, eq=False)
class DecoderLayer:
    """The residual stream as one decoder layer emits it, and as the next module receives it."""

    name: str
    """Dotted name of the decoder layer."""
    module: nn.Module
    parts: tuple[nn.Module, ...]
    """The modules that make up the layer: itself, or one of each list that the layers are spread over."""
    kind: str
    """``tensor``, ``tuple`` or ``list``: the type of what the layer returns."""
    layout: Layout
    """Where the residual stream sits in what the layer returns."""
    dtype: torch.dtype
    receiver_name: str
    """Dotted name of the module that receives exactly this tensor; empty when none does."""
    receiver: nn.Module | None
    receiver_layout: Layout
    """Where the residual stream sits in the receiver's ``(args, kwargs)``."""
    calls: int
    """How often the layer ran in one forward pass."""
    alone: bool = True
    """The receiver is all that reads what the layer emits: to change what it receives is to steer."""
    streams: int = 1
    """How many residual streams run side by side; a steering vector is added to each."""


@dataclass(frozen=True, eq=False)
class Architecture:
    """The decoder layers of a language model, proven by data flow."""

    layers_path: str
    """Dotted path of the decoder layers, e.g. ``model.layers``."""
    decoder_layers: tuple[DecoderLayer, ...]
    entry_name: str
    """Dotted name of the innermost module around the layers that receives the token ids; empty for the model.

    Where a wrapper puts virtual tokens before them, of the innermost one that receives both.
    """
    entry: nn.Module
    """That module: a forward pass begins when it is called."""
    model_inputs: ModelInputs
    """How the model is given tokens."""
    hidden_size: int
    """Width of the residual stream between decoder layers, measured."""
    anatomy: tuple[str, ...] = ()
    """What sets the residual stream apart from one stream through layers of one class; empty when nothing does."""
    notes: tuple[str, ...] = ()
    """What a steering vector means here where that is not plain, and where the config contradicts what was measured."""
    extra_positions: ExtraPositions = NONE
    """Positions of the model's own that stand before the tokens."""
    model_class: type[nn.Module] = nn.Module
    """Class of the whole model."""

    @property
    def layers(self) -> tuple[nn.Module, ...]:
        """The decoder layers in the order in which they run."""
        return tuple(decoder_layer.module for decoder_layer in self.decoder_layers)

    @property
    def num_layers(self) -> int:
        """How many decoder layers there are."""
        return len(self.decoder_layers)

    @property
    def every_layer(self) -> range:
        """The index of every decoder layer."""
        return range(self.num_layers)

    @property
    def steering_layers(self) -> tuple[int, ...]:
        """The decoder layers steered by default: the final three, or all of fewer."""
        return tuple(range(max(0, self.num_layers - FINAL_LAYERS), self.num_layers))

    @property
    def output_kind(self) -> str:
        """What the decoder layers return: ``tensor``, ``tuple`` or ``list``; several are joined by ``|``."""
        return "|".join(dict.fromkeys(decoder_layer.kind for decoder_layer in self.decoder_layers))

    @property
    def block_classes(self) -> tuple[str, ...]:
        """The class name of each decoder layer."""
        return tuple(type(decoder_layer.module).__name__ for decoder_layer in self.decoder_layers)

    def in_place(self, layer: int) -> nn.Module:
        """What stands where the decoder layer stands: the layer itself, or what somebody put in its place."""
        name = self.decoder_layers[layer].name
        return self.entry.get_submodule(name.removeprefix(f"{self.entry_name}.") if self.entry_name else name)

    def on(self, model: nn.Module) -> Architecture:
        """The same of a copy of the model; ``AttributeError`` where that has other modules."""

        def place(layer: DecoderLayer) -> DecoderLayer:
            receiver = model.get_submodule(layer.receiver_name) if layer.receiver is not None else None
            return replace(layer, module=model.get_submodule(layer.name), receiver=receiver)

        layers = tuple(map(place, self.decoder_layers))
        return replace(self, decoder_layers=layers, entry=model.get_submodule(self.entry_name))

    def inside(self, entry: nn.Module) -> Architecture:
        """The same of a copy of ``entry`` alone; ``AttributeError`` where that has other modules."""
        prefix = f"{self.entry_name}." if self.entry_name else ""

        def named(layer: DecoderLayer) -> DecoderLayer:
            names = layer.name.removeprefix(prefix), layer.receiver_name.removeprefix(prefix)
            return replace(layer, name=names[0], receiver_name=names[1])

        alone = replace(self, decoder_layers=tuple(map(named, self.decoder_layers)), entry_name="")
        return alone.on(entry)

    def summary(self) -> str:
        """One line for people: where the layers are, how many, how wide, and which are steered by default."""
        return found(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The facts that the report carries."""
        return {
            "layers_path": self.layers_path,
            "num_layers": self.num_layers,
            "hidden_size": self.hidden_size,
            "steering_layers": list(self.steering_layers),
            "output_kind": self.output_kind,
            "block_classes": sorted(set(self.block_classes)),
            "residual_dtype": str(self.decoder_layers[0].dtype).removeprefix("torch."),
            "anatomy": list(self.anatomy),
            "model_class": self.model_class.__name__,
            "receiver": self.decoder_layers[-1].receiver_name,
            "notes": list(self.notes),
        }
