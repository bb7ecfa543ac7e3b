"""Wrapping a model switches it to evaluation and takes the gradient from all of its parameters, for good.

The documentation says that interventions are "knobs that can mount on models". A model in training that is wrapped
trains no more, and a Mamba without gradients computes by another kernel: other logits, with nothing steered.
"""

from __future__ import annotations

import sys

import pyvene
import torch
from transformers import MambaConfig, MambaForCausalLM


@torch.no_grad()
def main() -> int:
    """1 when the mode, the gradient flags or the unsteered logits are others after wrapping."""
    torch.manual_seed(0)
    config = MambaConfig(vocab_size=64, hidden_size=32, state_size=8, num_hidden_layers=4, initializer_range=0.2)
    model = MambaForCausalLM(config).eval()
    ids = torch.arange(3, 13).expand(3, -1)
    plain = model(ids).logits
    model.train()
    before = model.training, sum(parameter.requires_grad for parameter in model.parameters())
    addition = pyvene.AdditionIntervention(source_representation=torch.ones(32))
    pyvene.IntervenableModel({"component": "backbone.layers[1].output", "intervention": addition}, model=model)
    after = model.training, sum(parameter.requires_grad for parameter in model.parameters())
    moved = float((model.eval()(ids).logits - plain).abs().max())
    sys.stdout.write(f"training, parameters with gradient: {before} before, {after} after; ")
    sys.stdout.write(f"logits move by {moved:.1e}\n")
    return int(before != after)


if __name__ == "__main__":
    sys.exit(main())
