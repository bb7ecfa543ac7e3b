"""Steering vectors: trained by difference in means, kept as safetensors with a fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pytest_steering.anatomy import Architecture
from pytest_steering.arrival import observe

FORMAT = "pytest-steering vectors 1"


def difference_in_means(positive: Tensor, negative: Tensor) -> Tensor:
    """The mean of the positive states minus the mean of the negative ones: ``(n, hidden_size)`` → ``(hidden_size,)``.

    Computed in double precision, returned as float32. The direction points to the positive side.
    """
    return (positive.double().mean(0) - negative.double().mean(0)).float()


def train_vectors(
    call: Callable[..., Any],
    architecture: Architecture,
    positive: Mapping[str, Tensor],
    negative: Mapping[str, Tensor],
    *,
    layers: Sequence[int] | None = None,
) -> dict[int, Tensor]:
    """One steering vector per layer, by difference in means at each row's last real token.

    ``call`` is the model (or a steered one); ``positive`` and ``negative`` are batches of contrastive prompts with
    an ``attention_mask`` when rows are padded. The states are read where the next module receives them, which is
    where an adapter writes. ``layers`` defaults to the architecture's steering layers.
    """
    layers = architecture.steering_layers if layers is None else layers
    sides = [_states(call, architecture, side, layers) for side in (positive, negative)]
    return {layer: difference_in_means(sides[0][layer], sides[1][layer]) for layer in layers}


def stack(vectors: Mapping[int, Tensor]) -> Tensor:
    """The vectors in layer order as one tensor of shape ``(layers, hidden_size)``."""
    return torch.stack([vectors[layer] for layer in sorted(vectors)])


def save_vectors(path: str | Path, vectors: Mapping[int, Tensor], architecture: Architecture, *, method: str) -> None:
    """The vectors are written as safetensors, with what they fit as metadata."""
    tensors = {f"layer.{layer}": vector.detach().cpu().contiguous() for layer, vector in vectors.items()}
    fingerprint = {**_fingerprint(architecture), "method": method}
    save_file(tensors, path, metadata={"format": FORMAT, "fingerprint": json.dumps(fingerprint, sort_keys=True)})


def load_vectors(path: str | Path, architecture: Architecture) -> dict[int, Tensor]:
    """The vectors in a file that ``save_vectors`` wrote for a model of this architecture, by layer.

    Raises ``ValueError`` naming the file and what does not fit: no such format, another hidden size, number of
    layers or layers path.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read as safetensors: {error}") from error
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} holds no steering vectors of this format ({FORMAT})")
    found = json.loads(metadata["fingerprint"])
    for key, wanted in _fingerprint(architecture).items():
        if found.get(key) != wanted:
            raise ValueError(f"{path} was made for a model with {key}={found.get(key)}; this one has {wanted}")
    return {int(name.removeprefix("layer.")): tensor for name, tensor in tensors.items()}


def _fingerprint(architecture: Architecture) -> dict[str, Any]:
    return {
        "hidden_size": architecture.hidden_size,
        "num_layers": architecture.num_layers,
        "layers_path": architecture.layers_path,
    }


def _states(
    call: Callable[..., Any], architecture: Architecture, inputs: Mapping[str, Tensor], layers: Sequence[int]
) -> dict[int, Tensor]:
    """Each row's state at its last real token, ``(rows, hidden_size)`` per layer: the mean of several streams."""
    with torch.no_grad():
        trace = observe(architecture, layers, lambda: call(**inputs))
    mask = architecture.feed.mask(inputs)
    states = {}
    for layer in layers:
        arrived = trace.arrived(layer)
        if mask is None:
            state = arrived[:, -1]
        else:
            columns = torch.arange(mask.shape[1], device=mask.device)
            last = (columns * mask).amax(1).to(arrived.device) + arrived.shape[1] - mask.shape[1]
            state = arrived[torch.arange(len(last), device=arrived.device), last]
        states[layer] = state.flatten(1, -2).mean(1) if state.ndim > 2 else state
    return states
