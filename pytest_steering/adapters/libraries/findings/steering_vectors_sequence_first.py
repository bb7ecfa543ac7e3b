"""``min_token_index`` picks rows of the batch instead of tokens where layers emit the sequence first, as in XLNet.

Promised: "only tokens 10 and later will be affected by the steering vector", for "a decoder-only generative language
model". The mask is laid over the second axis, which in XLNet is the batch.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from steering_vectors import SteeringVector
from transformers import XLNetConfig, XLNetLMHeadModel


@torch.no_grad()
def main() -> int:
    """1 when other tokens are steered than those from index 2 on, in rows of 8."""
    torch.manual_seed(0)
    config = XLNetConfig(vocab_size=64, d_model=32, n_layer=4, n_head=4, d_inner=64)
    model = XLNetLMHeadModel(config).eval()
    seen: list[Any] = []
    model.transformer.layer[2].register_forward_pre_hook(
        lambda _module, args, kwargs: seen.append((args[0] if args else kwargs["output_h"]).clone()), with_kwargs=True
    )
    ids = torch.arange(3, 11).expand(3, -1)
    model(ids)
    with SteeringVector({1: torch.ones(32)}).apply(model, min_token_index=2):
        model(ids)
    moved = (seen[1] != seen[0]).any(-1).transpose(0, 1)
    steered = [[int(token) for token in row.nonzero().flatten()] for row in moved]
    sys.stdout.write(f"steered tokens of each of 3 rows: {steered}; asked for: {list(range(2, 8))}\n")
    return int(any(row != list(range(2, 8)) for row in steered))


if __name__ == "__main__":
    sys.exit(main())
