"""A bridge changes the model that it is given: other modules, and in GPT-2 and BLOOM norms that never run again.

Promised: with ``hf_model=`` "pre-loaded weights stay untouched", and "logits and activations match HF". The weights
do; but the layers become bridges, which compute LayerNorm themselves, and attention is switched to "eager". A hook on
a module of one's own model, registered before, is no longer called, and nothing undoes it.
"""

from __future__ import annotations

import sys

import torch
from tokenizers import Tokenizer, models
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast


@torch.no_grad()
def main() -> int:
    """1 when a hook on the caller's own final norm is called before the bridge is made and not after."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=64, n_embd=32, n_layer=4, n_head=4, architectures=["GPT2LMHeadModel"])
    model = GPT2LMHeadModel(config).eval()
    calls: list[int] = []
    model.transformer.ln_f.register_forward_hook(lambda *_: calls.append(1))
    ids = torch.arange(3, 11)[None]
    counts, kinds, attention = [], [], []
    for bridged in (False, True):
        if bridged:
            tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab={"<s>": 0}, merges=[])))
            TransformerBridge.boot_transformers("gpt2", hf_model=model, tokenizer=tokenizer, device="cpu")
        calls.clear()
        logits = model(ids).logits
        counts.append(len(calls))
        kinds.append(type(model.transformer.h[0]).__name__)
        attention.append(model.config._attn_implementation)
    sys.stdout.write(
        f"calls of the final norm {counts}, layers {kinds}, attention {attention}, logits {tuple(logits.shape)}\n"
    )
    return int(counts == [1, 0])


if __name__ == "__main__":
    sys.exit(main())
