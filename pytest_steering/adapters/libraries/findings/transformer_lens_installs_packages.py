"""Booting a model that sees pictures runs ``pip install torchvision`` when no processor can be loaded.

The documentation does not speak of it. pip may replace torch by the one that torchvision asks for, in the running
process's own environment: a pinned CPU torch was, by gigabytes of CUDA. Here the command is caught and not run.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from unittest.mock import patch

from tokenizers import Tokenizer, models
from transformer_lens.model_bridge import TransformerBridge
from transformers import Gemma3Config, Gemma3ForConditionalGeneration, PreTrainedTokenizerFast


def main() -> int:
    """1 when booting a model asks for a package to be installed."""
    text = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 8,
    }
    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": 28,
        "patch_size": 14,
    }
    config = Gemma3Config(text_config=text, vision_config=vision, architectures=["Gemma3ForConditionalGeneration"])
    model = Gemma3ForConditionalGeneration(config).eval()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocab={"<s>": 0}, merges=[])))
    commands: list[Any] = []

    def catch(command: Any, *_args: Any, **_options: Any) -> int:
        commands.append(command)
        raise OSError("not run")

    with patch.object(subprocess, "check_call", catch):
        TransformerBridge.boot_transformers("./gemma3", hf_model=model, tokenizer=tokenizer, device="cpu")
    asked = [" ".join(map(str, command[1:])) for command in commands]
    sys.stdout.write(f"commands run while booting: {asked}\n")
    return int(any("install" in command for command in asked))


if __name__ == "__main__":
    sys.exit(main())
