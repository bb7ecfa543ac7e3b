"""A vector of one element is added to every element, a wrong width fails inside the model, infinities are sent on.

The documentation promises nothing of vectors that do not fit; a vector of another model is the usual one.
"""

from __future__ import annotations

import sys

import torch
from nnterp import StandardizedTransformer
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


@torch.no_grad()
def main() -> int:
    """1 when a vector of one element is accepted, or a dose that overflows."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab={"<s>": 0}, merges=[])))
    model = StandardizedTransformer(LlamaForCausalLM(config).eval(), tokenizer=tokenizer)
    ids = torch.arange(3, 11)[None]
    cases = {"shape (1,)": torch.tensor([3.0]), "shape (33,)": torch.ones(33), "3e38, twice": torch.full((32,), 3e38)}
    accepted = 0
    for name, vector in cases.items():
        factor = 2.0 if "3e38" in name else 1.0
        try:
            with model.trace({"input_ids": ids}):
                model.steer(layers=1, steering_vector=vector, factor=factor)
                logits = model.logits.save()
        except Exception as error:
            sys.stdout.write(f"{name}: {type(error).__name__}: {str(error).strip().splitlines()[-1]}\n")
            continue
        accepted += 1
        broken = int((~logits.isfinite()).sum())
        sys.stdout.write(f"{name}: accepted, {broken} of {logits.numel()} logits not finite\n")
    return int(accepted > 0)


if __name__ == "__main__":
    sys.exit(main())
