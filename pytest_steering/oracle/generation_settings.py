"""``generate`` is asked with settings of the suite's own: what a checkpoint prefers is one more use, not every run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import nn
from transformers import GenerationConfig

TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
"""Settings that are facts of a model and no preference."""


@contextmanager
def own_settings(model: nn.Module) -> Iterator[None]:
    """The model generates by transformers' defaults inside the block: greedily, one sequence, without penalties.

    What somebody writes into the settings meanwhile stands in the model's own afterwards. A wrapper and the model in it
    may have settings each.
    """
    with ExitStack() as stack:
        for owner in model.modules():
            theirs = vars(owner).get("generation_config")
            if isinstance(theirs, GenerationConfig):
                stack.enter_context(_put_aside(owner, theirs))
        yield


@contextmanager
def _put_aside(owner: nn.Module, theirs: GenerationConfig) -> Iterator[None]:
    mine = GenerationConfig(**{name: getattr(theirs, name, None) for name in TOKENS})
    owner.generation_config = mine
    before = dict(vars(mine))
    try:
        yield
    finally:
        for name, value in vars(mine).items():
            if name not in before or before[name] != value:
                setattr(theirs, name, value)
        if vars(owner).get("generation_config") is mine:
            owner.generation_config = theirs


def settings_of(model: nn.Module) -> GenerationConfig | None:
    """What the checkpoint prefers; ``None`` when it is nothing but facts."""
    theirs = getattr(model, "generation_config", None)
    if not isinstance(theirs, GenerationConfig):
        return None
    facts = {*TOKENS, "transformers_version"}
    preferred = [name for name in theirs.to_diff_dict() if name not in facts and not name.startswith("_")]
    return theirs if preferred else None
