"""``min_token_index`` is counted anew in every forward pass, so with a KV cache no generated token is steered.

Promised: "only tokens 10 and later will be affected by the steering vector", "for instance to only apply the steering
vector when the model is responding to a prompt". In a decode pass there is one token, of index 0, and none is later.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from steering_vectors import SteeringVector
from transformers import LlamaConfig, LlamaForCausalLM


def main() -> int:
    """1 when generated tokens are steered without a cache and not with one."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    model = LlamaForCausalLM(config).eval()
    prompt = torch.arange(3, 11)[None]
    vector = SteeringVector({1: torch.randn(32)})
    layer = model.model.layers[1]

    def steered(cached: bool) -> list[int]:
        before: list[Any] = []
        counts: list[int] = []
        first = layer.register_forward_hook(lambda _m, _a, out: before.append(_hidden(out).clone()))
        with vector.apply(model, min_token_index=prompt.shape[1]):
            last = layer.register_forward_hook(
                lambda _m, _a, out: counts.append(int((_hidden(out) != before[-1]).any(-1).sum()))
            )
            model.generate(prompt, max_new_tokens=5, min_new_tokens=5, do_sample=False, use_cache=cached)
        first.remove()
        last.remove()
        return counts

    with_cache, without = steered(True), steered(False)
    sys.stdout.write(f"steered tokens in each pass: with a cache {with_cache}, without {without}\n")
    return int(not any(with_cache) and any(without))


def _hidden(output: Any) -> torch.Tensor:
    hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


if __name__ == "__main__":
    sys.exit(main())
