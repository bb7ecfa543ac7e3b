"""Why libraries fail requirements: each cause once, with the script that shows it without this suite."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_UNFIT: Final = frozenset({"wrong-shape-refused", "foreign-vector-refused", "finite-or-refused"})


@dataclass(frozen=True)
class Cause:
    """A cause, and how it is told from the reason of a failure.

    The name is that of the confirming script; ``says`` what happens, in one sentence.
    """

    name: str
    adapters: tuple[str, ...]
    says: str
    reason: str = ""
    """A pattern in the reason; empty when the requirement tells."""
    ids: frozenset[str] = frozenset()
    """The requirements that it breaks; empty when the reason tells."""
    models: str = ""
    """A pattern in the model's spec, where the cause is one of a few models."""

    beside: bool = False
    """It was found beside the requirements: no failure is explained by it."""

    def explains(self, adapter: str, spec: str, requirement: str, reason: str) -> bool:
        """The failure is one of this cause."""
        return (
            adapter in self.adapters
            and not self.beside
            and (not self.ids or requirement in self.ids)
            and bool(re.search(self.reason, reason))
            and bool(re.search(self.models, spec))
        )


_PYVENE: Final = ("pyvene", "pyvene-keeping-hooks")

CAUSES: Final = (
    Cause(
        "steering_vectors_token_indices",
        ("steering-vectors",),
        "`apply(token_indices=…)` always ends in an `UnboundLocalError`, and so does a layer that does not exist",
        reason="UnboundLocalError",
    ),
    Cause(
        "steering_vectors_sequence_first",
        ("steering-vectors",),
        "`min_token_index` picks rows of the batch instead of tokens where layers emit the sequence first",
        ids=frozenset({"only-these-positions", "single-token-prompt"}),
        models="xlnet",
    ),
    Cause(
        "steering_vectors_unchecked",
        ("steering-vectors",),
        "a vector of one element is broadcast, another width fails inside the model, infinities are sent on",
        ids=_UNFIT,
    ),
    Cause(
        "steering_vectors_other_tower",
        ("steering-vectors",),
        "the vision tower is steered instead of the language model where it has the more layers or the shorter name",
        models="qwen2_vl",
    ),
    Cause(
        "steering_vectors_min_token_index",
        ("steering-vectors",),
        "`min_token_index` is counted anew in every pass, so with a KV cache no generated token is steered",
        reason=r"only the first pass|positions generated, pass 1: .*nothing arrives in passes \[1, 2",
    ),
    Cause(
        "repeng_batch",
        ("repeng",),
        "a forward pass of two rows fails where the model numbers its tokens itself: one row of `position_ids` for all",
        reason=r"shape '\[.*\]' is invalid for input of size",
    ),
    Cause(
        "repeng_padding",
        ("repeng",),
        "padding is steered in models whose layers receive no `position_ids`",
        reason="padding is steered",
    ),
    Cause(
        "repeng_unchecked",
        ("repeng",),
        "a vector of one element is broadcast, another width fails inside the model, infinities are sent on",
        ids=_UNFIT,
    ),
    Cause(
        "nnterp_copied_model",
        ("nnterp",),
        "a deep copy of a wrapped model computes with the original's weights",
        ids=frozenset({"two-models"}),
    ),
    Cause(
        "nnterp_inference_mode",
        ("nnterp",),
        "`steer` fails under `torch.inference_mode`: it adds in place in a thread that is not in that mode",
        reason="outside InferenceMode",
    ),
    Cause(
        "nnterp_unchecked",
        ("nnterp",),
        "a vector of one element is broadcast, another width fails inside the model, infinities are sent on",
        ids=_UNFIT,
    ),
    Cause(
        "transformer_lens_position_embedding",
        ("transformer-lens",),
        "a call of the bridge leaves an attribute on the position embedding",
        reason=r"\.(wpe|embed_positions) of the model changes",
    ),
    Cause(
        "transformer_lens_replaced_modules",
        ("transformer-lens",),
        "beside the requirements: the bridge replaces the caller's own modules for good; the model is judged with the "
        "new ones",
        beside=True,
    ),
    Cause(
        "transformer_lens_installs_packages",
        ("transformer-lens",),
        "beside the requirements: booting a model that sees pictures runs `pip install torchvision`, which may replace "
        "torch; the adapter forbids it",
        beside=True,
    ),
    Cause(
        "pyvene_freezes_model",
        _PYVENE,
        "wrapping a model ends its training mode and the gradients of its parameters for good, which changes the "
        "logits of a Mamba",
        reason=r"training mode|gradient flag|max \|Δ\| \d\.\de-0[5-9], \d+ of|leaves the model changed",
    ),
    Cause(
        "pyvene_overflow",
        _PYVENE,
        "a dose that overflows is sent on as infinity",
        reason="infinite or NaN values arrive",
    ),
    Cause(
        "pyvene_removes_hooks",
        ("pyvene",),
        "every call removes all hooks of the model, whoever registered them, so nothing can be watched",
        reason="IndexError: list index|no forward pass|does not run when|runs 0 times|the hooks of|runs passes|"
        "vector never arrives",
    ),
)


def cause_of(adapter: str, spec: str, requirement: str, reason: str) -> str:
    """The name of the first cause that explains a failure; ``unexplained`` when none does."""
    return next((cause.name for cause in CAUSES if cause.explains(adapter, spec, requirement, reason)), UNEXPLAINED)


UNEXPLAINED: Final = "unexplained"
