"""What is said of an architecture, from its facts alone: no torch is needed to report them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def found(architecture: Mapping[str, Any]) -> str:
    """Where the decoder layers are, how many, how wide, and which are steered by default, in one line."""
    number = architecture["num_layers"]
    return (
        f"Found {architecture['layers_path']} with {number} {'layer' if number == 1 else 'layers'}, "
        f"hidden size {architecture['hidden_size']}; steering layers {architecture['steering_layers']}"
    )
