"""``steer`` fails under ``torch.inference_mode``, and not under ``torch.no_grad``.

It adds in place, in nnsight's own thread, which does not inherit the mode. The documentation does not speak of it.
"""

from __future__ import annotations

import sys

import torch
from nnterp import StandardizedTransformer
from tokenizers import Tokenizer, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def main() -> int:
    """1 when the same trace runs in one mode and fails in the other."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab={"<s>": 0}, merges=[])))
    model = StandardizedTransformer(LlamaForCausalLM(config).eval(), tokenizer=tokenizer)
    ids, vector = torch.arange(3, 11)[None], torch.ones(32)
    failed: list[str] = []
    for mode in (torch.no_grad, torch.inference_mode):
        try:
            with mode(), model.trace({"input_ids": ids}):
                model.steer(layers=1, steering_vector=vector)
                logits = model.logits.save()
            sys.stdout.write(f"{mode.__name__}: logits {tuple(logits.shape)}\n")
        except Exception as error:
            failed.append(mode.__name__)
            said = str(error)
            sys.stdout.write(f"{mode.__name__}: {said[said.rfind('RuntimeError') :].splitlines()[0][:120]}\n")
    return int(failed == ["inference_mode"])


if __name__ == "__main__":
    sys.exit(main())
