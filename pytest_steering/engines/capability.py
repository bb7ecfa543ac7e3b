"""What an engine promises beyond the core: declared means must pass, undeclared means not applicable."""

from __future__ import annotations

from enum import StrEnum


class EngineCapability(StrEnum):
    """A promise of an engine, tested when it is declared."""

    PROMPT_LOG_PROBS = "prompt_log_probs"
    """Log-probabilities are given at the prompt's tokens as well as at those that are generated."""
    MULTI_LAYER = "multi_layer"
    """Several decoder layers are steered by one plan, each by a vector of its own."""
    LAST = "last"
    """Positions LAST are honoured: the final prompt token and every generated one."""
    PROMPT = "prompt"
    """Positions PROMPT are honoured: the prompt's tokens and none that is generated."""
    GENERATED = "generated"
    """Positions GENERATED are honoured: the generated tokens and none of the prompt's."""
    SEVERAL = "several"
    """A request for several completions gets them, each steered."""
    STOP = "stop"
    """A completion ends with the first of the request's stop tokens."""
    SAMPLING = "sampling"
    """Tokens are drawn at a temperature, and a seed draws the same ones again."""
    SPECULATIVE = "speculative"
    """Several tokens are tried in one pass; those that are kept were steered."""
