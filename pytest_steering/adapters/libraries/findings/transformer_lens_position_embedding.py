"""A call of the bridge leaves an attribute on the position embedding, and makes it return a row for each row of tokens.

Promised: "logits and activations match HF". The values do; the shape is another one than the model's own, and the
size of the batch stays on the module after the call.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from tokenizers import Tokenizer, models
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast


@torch.no_grad()
def main() -> int:
    """1 when the position embedding differs in shape, or has an attribute after the call that it had not before."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=64, n_embd=32, n_layer=4, n_head=4, architectures=["GPT2LMHeadModel"])
    model = GPT2LMHeadModel(config).eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab={"<s>": 0}, merges=[])))
    bridge: Any = TransformerBridge.boot_transformers("gpt2", hf_model=model, tokenizer=tokenizer, device="cpu")
    embedding: Any = model.transformer.wpe
    shapes: list[tuple[int, ...]] = []
    embedding.register_forward_hook(lambda _module, _args, output: shapes.append(tuple(output.shape)))
    ids = torch.arange(3, 11).expand(3, -1)
    model(ids)
    before = set(vars(embedding))
    bridge(ids)
    left = sorted(set(vars(embedding)) - before)
    sys.stdout.write(f"shapes of the position embedding: model {shapes[0]}, bridge {shapes[1]}; left behind: {left}\n")
    return int(shapes[0] != shapes[1] or bool(left))


if __name__ == "__main__":
    sys.exit(main())
