"""Padding is steered in every model whose layers are not given ``position_ids``: BLOOM, GPTBigCode and others.

Promised: "we should ignore the padding tokens when doing the activation addition". The mask is made of
``position_ids``; a layer that receives none is steered everywhere.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from repeng import ControlModel, ControlVector
from transformers import BloomConfig, BloomForCausalLM


@torch.no_grad()
def main() -> int:
    """1 when padding on the left is steered."""
    torch.manual_seed(0)
    model = BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=32, n_layer=4, n_head=4)).eval()
    ids = torch.arange(3, 11).expand(2, -1)
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    seen: list[Any] = []
    model.transformer.h[2].register_forward_pre_hook(lambda _module, args: seen.append(args[0].clone()))
    model(input_ids=ids, attention_mask=mask)
    control = ControlModel(model, [1])
    control.set_control(ControlVector("bloom", {1: np.full(32, 2.0, dtype=np.float32)}))
    control(input_ids=ids, attention_mask=mask)
    moved = (seen[1] - seen[0]).abs().amax(-1)[1]
    sys.stdout.write(f"padding moves by {moved[:3].tolist()}, the tokens of the same row by {moved[3:].tolist()}\n")
    return int(bool((moved[:3] > 0).any()))


if __name__ == "__main__":
    sys.exit(main())
