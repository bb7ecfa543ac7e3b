"""A vector of one element is added to every element, a wrong width fails inside the model, infinities are sent on.

The documentation promises nothing of vectors that do not fit; a vector of another model is the usual one.
"""

from __future__ import annotations

import sys

import torch
from steering_vectors import SteeringVector
from transformers import LlamaConfig, LlamaForCausalLM


@torch.no_grad()
def main() -> int:
    """1 when a vector of one element is accepted, or a dose that overflows."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    model = LlamaForCausalLM(config).eval()
    ids = torch.arange(3, 11)[None]
    plain = model(ids).logits
    accepted = 0
    cases = {"shape (1,)": torch.tensor([3.0]), "shape (33,)": torch.ones(33), "3e38, twice": torch.full((32,), 3e38)}
    for name, vector in cases.items():
        try:
            with SteeringVector({1: vector}).apply(model, multiplier=2.0 if "3e38" in name else 1.0):
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
