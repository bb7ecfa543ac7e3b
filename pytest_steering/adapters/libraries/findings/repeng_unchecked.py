"""A vector of one element is added to every element, a wrong width fails inside the model, infinities are sent on.

The documentation promises nothing of vectors that do not fit; a vector of another model is the usual one.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from repeng import ControlModel, ControlVector
from transformers import LlamaConfig, LlamaForCausalLM


@torch.no_grad()
def main() -> int:
    """1 when a vector of one element is accepted, or a dose that overflows."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    model = ControlModel(LlamaForCausalLM(config).eval(), [1])
    ids = torch.arange(3, 11)[None]
    plain = model(ids).logits
    accepted = 0
    cases = {"shape (1,)": np.ones(1), "shape (33,)": np.ones(33), "3e38, twice": np.full(32, 3e38)}
    for name, vector in cases.items():
        try:
            model.set_control(ControlVector("llama", {1: vector.astype(np.float32)}), 2.0 if "3e38" in name else 1.0)
            logits = model(ids).logits
        except Exception as error:
            sys.stdout.write(f"{name}: {type(error).__name__}: {error}\n")
            continue
        accepted += 1
        moved, broken = float((logits - plain).abs().max()), int((~logits.isfinite()).sum())
        sys.stdout.write(f"{name}: accepted, logits move by {moved:.3g}, {broken} of {logits.numel()} not finite\n")
    return int(accepted > 0)


if __name__ == "__main__":
    sys.exit(main())
