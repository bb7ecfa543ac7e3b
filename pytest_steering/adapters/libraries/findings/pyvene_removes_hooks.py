"""Every call of an intervenable model removes all hooks of the wrapped model, whoever registered them.

Promised: an ``IntervenableModel`` can be used "just like a regular torch model component inside another model". Its
clean-up empties the hook lists of every module, so the hooks of a profiler, of a second library or of another
intervenable model on the same modules are gone after the first call.
"""

from __future__ import annotations

import sys

import pyvene
import torch
from transformers import LlamaConfig, LlamaForCausalLM


@torch.no_grad()
def main() -> int:
    """1 when a hook of the caller's own is gone after a call, and was not even called in it."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4
    )
    model = LlamaForCausalLM(config).eval()
    calls: list[int] = []
    module = model.model.layers[3]
    module.register_forward_hook(lambda *_: calls.append(1))
    addition = pyvene.AdditionIntervention(source_representation=torch.ones(32))
    intervenable = pyvene.IntervenableModel(
        {"layer": 1, "component": "block_output", "intervention": addition}, model=model
    )
    hooks = [len(module._forward_hooks)]
    intervenable({"input_ids": torch.arange(3, 11)[None]}, unit_locations=None)
    hooks.append(len(module._forward_hooks))
    sys.stdout.write(f"the caller's hooks on layer 3: {hooks[0]} before, {hooks[1]} after; called {len(calls)} times\n")
    return int(hooks == [1, 0] and not calls)


if __name__ == "__main__":
    sys.exit(main())
