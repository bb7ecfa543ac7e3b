"""What an adapter promises beyond the core: declared means must pass, undeclared means not applicable."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """A promise of an adapter, tested when it is declared."""

    MULTI_LAYER = "multi_layer"
    """Several decoder layers are steered by one plan."""
    PER_LAYER_VECTORS = "per_layer_vectors"
    """Each steered decoder layer has a steering vector of its own."""
    POSITIONS = "positions"
    """Token positions other than ALL are honoured."""
    BATCH = "batch"
    """Every row of a batch is steered."""
    PADDING = "padding"
    """Padding in a batch of unequal lengths is left alone, on either side."""
    GENERATE = "generate"
    """The yielded object has ``generate`` and steers every pass of it."""
    CACHE = "cache"
    """Steering is the same with and without a KV cache, and with a chunked prefill."""
    BEAMS = "beams"
    """Beam search and several returned sequences are steered row by row."""
    ASSISTED = "assisted"
    """Assisted decoding, with several tokens in one decode pass, is steered."""
    COMPILE = "compile"
    """A model that was compiled and has run before is steered."""
    GRADIENTS = "gradients"
    """Gradients flow through the steered forward pass."""
    NESTING = "nesting"
    """A plan entered inside another adds to it."""
