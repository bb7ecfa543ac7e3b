"""A deep copy of a model that nnterp has wrapped computes with the original's weights, not with its own.

nnsight keeps the wrapped model's ``forward`` functions on its modules, and a copy of the model takes them along.
Promised: nnterp "preserves the original HuggingFace implementations". Of copies the documentation does not speak.
"""

from __future__ import annotations

import copy
import sys

import torch
from nnterp import StandardizedTransformer
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


@torch.no_grad()
def main() -> int:
    """1 when a copy with weights of zero still returns the original's logits."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    model = LlamaForCausalLM(config).eval()
    ids = torch.arange(3, 11)[None]

    def of_a_copy() -> float:
        twin = copy.deepcopy(model)
        for parameter in twin.parameters():
            parameter.zero_()
        return float(twin(ids).logits.abs().max())

    before = of_a_copy()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab={"<s>": 0}, merges=[])))
    StandardizedTransformer(model, tokenizer=tokenizer)
    after, own = of_a_copy(), float(model(ids).logits.abs().max())
    sys.stdout.write(
        f"largest logit of a copy of zeros: {before:.3g} before wrapping, {after:.3g} after; the original's {own:.3g}\n"
    )
    return int(before == 0 and after == own)


if __name__ == "__main__":
    sys.exit(main())
