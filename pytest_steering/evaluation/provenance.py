"""What numbers depend on beside the configuration: the weights, the data, the versions, the device."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import nn

from pytest_steering.evaluation.scenarios import Dataset
from pytest_steering.targets.target import Target

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy", "scipy", "statsmodels", "pytest-steering")
_SAMPLE = 1024


def versions(device: torch.device) -> dict[str, str]:
    """The versions of everything that computes, and the device."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    found["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return found


def model_facts(target: Target) -> dict[str, Any]:
    """What was measured of the model, with a hash of its weights."""
    architecture = target.architecture
    return {
        "class": architecture.model_class,
        "layers_path": architecture.layers_path,
        "num_layers": architecture.num_layers,
        "hidden_size": architecture.hidden_size,
        "dtype": str(architecture.decoder_layers[0].dtype).removeprefix("torch."),
        "weights": weights_hash(target.model),
    }


def data_facts(dataset: Dataset) -> dict[str, Any]:
    """How much data there is, with the hash of all of it."""
    return {"sha256": dataset.fingerprint, "files": dataset.counts()}


def weights_hash(model: nn.Module) -> str:
    """A sha256 over every parameter's and buffer's name, type and shape and about a thousand of its values.

    It tells two checkpoints apart without reading all of a large one.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items()):
        flat = tensor.detach().reshape(-1)
        values = flat[:: max(1, flat.numel() // _SAMPLE)].cpu().double().numpy()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode() + values.tobytes())
    return digest.hexdigest()
