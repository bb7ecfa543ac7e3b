"""A byte-level tokenizer made on the spot: for small models, and for libraries that do not run without one."""

from __future__ import annotations

from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

PAD, BOS, EOS = 0, 1, 2


def tiny_tokenizer() -> Any:
    """A byte-level tokenizer of 259 tokens (every byte, padding, begin and end), which pads on the left."""
    specials = {"<pad>": PAD, "<s>": BOS, "</s>": EOS}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = specials | {symbol: len(specials) + index for index, symbol in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return padded_tokenizer(tokenizer)


def padded_tokenizer(tokenizer: Tokenizer) -> Any:
    """``tokenizer`` as transformers uses it: ``<pad>``, ``<s>`` and ``</s>`` are special, and it pads on the left."""
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
