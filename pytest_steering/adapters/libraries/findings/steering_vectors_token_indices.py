"""``apply(model, token_indices=...)`` always fails, and says that a variable is unbound instead of why.

Promised: "Tokens to patch can be selected using either ``min_token_index`` or ``token_indices``". ``apply`` gives
``min_token_index`` 0 by default, which forbids the other; and whatever goes wrong before the hooks are in place, as a
layer that does not exist, ends in an ``UnboundLocalError`` of the clean-up.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from steering_vectors import SteeringVector
from transformers import LlamaConfig, LlamaForCausalLM


def main() -> int:
    """1 when neither a slice of tokens nor a missing layer is answered for what it is."""
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    model = LlamaForCausalLM(config).eval()
    cases: dict[str, tuple[int, dict[str, Any]]] = {
        "token_indices=slice(0, 4)": (1, {"token_indices": slice(0, 4)}),
        "layer 99": (99, {}),
    }
    unbound = 0
    for name, (layer, options) in cases.items():
        said = "no error"
        try:
            with SteeringVector({layer: torch.ones(32)}).apply(model, **options):
                model(torch.arange(3, 11)[None])
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            unbound += isinstance(error, UnboundLocalError)
        sys.stdout.write(f"{name}: {said}\n")
    return int(unbound > 0)


if __name__ == "__main__":
    sys.exit(main())
