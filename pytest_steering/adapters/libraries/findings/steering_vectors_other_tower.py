"""On Qwen2-VL the vision tower is steered instead of the language model: on text alone, nothing happens.

Promised: the library "will automatically guess the layer selectors for most language models in Huggingface as long as
the layers are named in a normal way". The guess is the longest numbered list of modules, or the shortest name; here
are the numbers of layers of Qwen2-VL-2B, 28 of text and 32 of vision.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from steering_vectors import SteeringVector, guess_and_enhance_layer_config
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration


@torch.no_grad()
def main() -> int:
    """1 when the logits do not move at all."""
    torch.manual_seed(0)
    text: dict[str, Any] = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 28,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
    }
    vision = {"depth": 32, "embed_dim": 32, "hidden_size": 32, "num_heads": 4}
    model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision)).eval()
    ids = torch.arange(3, 11)[None]
    plain = model(input_ids=ids).logits
    with SteeringVector({14: torch.randn(32)}).apply(model, multiplier=100.0):
        moved = float((model(input_ids=ids).logits - plain).abs().max())
    guess = guess_and_enhance_layer_config(model)["decoder_block"]
    sys.stdout.write(f"layers guessed: {guess}; scale 100 moves the logits by {moved:.3g}\n")
    return int(moved == 0)


if __name__ == "__main__":
    sys.exit(main())
