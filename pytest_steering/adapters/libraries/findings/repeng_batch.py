"""A forward pass of two rows fails on every model that numbers its tokens itself, as Llama does.

Promised: padding is left alone ("we should ignore the padding tokens when doing the activation addition"), which only
a batch has. The wrapper takes the mask from ``position_ids`` and expects a row of them for each row of tokens;
transformers gives one row for all, unless the caller passes ``position_ids`` or generates.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from repeng import ControlModel, ControlVector
from transformers import LlamaConfig, LlamaForCausalLM


@torch.no_grad()
def main() -> int:
    """1 when one row runs and two do not."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    model = ControlModel(LlamaForCausalLM(config).eval(), [1])
    model.set_control(ControlVector("llama", {1: np.ones(32, dtype=np.float32)}))
    failed: list[int] = []
    for rows in (1, 2):
        ids = torch.arange(3, 11).expand(rows, -1)
        try:
            shape = tuple(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.shape)
            sys.stdout.write(f"{rows} rows: logits {shape}\n")
        except RuntimeError as error:
            failed.append(rows)
            sys.stdout.write(f"{rows} rows: RuntimeError: {error}\n")
    return int(failed == [2])


if __name__ == "__main__":
    sys.exit(main())
