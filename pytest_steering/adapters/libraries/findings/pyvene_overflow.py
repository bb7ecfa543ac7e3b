"""A dose that overflows the model's dtype is sent on as infinity; a vector of a wrong width is refused.

The documentation promises nothing of doses.
"""

from __future__ import annotations

import sys

import pyvene
import torch
from transformers import LlamaConfig, LlamaForCausalLM


@torch.no_grad()
def main() -> int:
    """1 when infinities are sent on."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    model = LlamaForCausalLM(config).eval()
    cases = {"shape (33,)": torch.ones(33), "3e38, twice": 2 * torch.full((32,), 3e38)}
    broken = 0
    for name, vector in cases.items():
        addition = pyvene.AdditionIntervention(source_representation=vector)
        part = {"layer": 1, "component": "block_output", "intervention": addition}
        try:
            _, output = pyvene.IntervenableModel(part, model=model)(
                {"input_ids": torch.arange(3, 11)[None]}, unit_locations=None
            )
        except Exception as error:
            sys.stdout.write(f"{name}: {type(error).__name__}: {error}\n")
            continue
        broken += int((~output.logits.isfinite()).sum())
        sys.stdout.write(f"{name}: accepted, {broken} of {output.logits.numel()} logits not finite\n")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
