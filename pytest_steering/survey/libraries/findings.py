"""Why libraries fail requirements: each finding once, named like the script that shows it without this suite."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pytest_steering.oracle.diagnosis.causes import Cause

_UNFIT: Final = frozenset({"wrong-shape-refused", "foreign-vector-refused", "finite-or-refused"})


@dataclass(frozen=True)
class Sign:
    """What a failure of one finding looks like: every part that is given must fit."""

    causes: frozenset[Cause] = frozenset()
    """The causes that the suite names."""
    words: str = ""
    """A pattern in the words of an exception, the library's own."""
    ids: frozenset[str] = frozenset()
    """The requirements that it breaks."""
    models: str = ""
    """A pattern in the model's spec, where the finding is one of a few models."""

    def fits(self, failure: Failure) -> bool:
        """The failure looks so."""
        return (
            (not self.causes or failure.cause in self.causes)
            and bool(re.search(self.words, failure.reason))
            and (not self.ids or failure.id in self.ids)
            and bool(re.search(self.models, failure.spec))
        )


@dataclass(frozen=True)
class Failure:
    """One failed requirement of a library on one model, as a report has it."""

    adapter: str
    spec: str
    id: str
    cause: str
    reason: str


@dataclass(frozen=True)
class Finding:
    """Why a library fails requirements.

    The name is that of the confirming script; ``says`` what happens, in one sentence.
    """

    name: str
    adapters: tuple[str, ...]
    says: str
    signs: tuple[Sign, ...] = ()
    """A failure that looks like any of them is explained; without one, it was found beside the requirements."""

    def explains(self, failure: Failure) -> bool:
        """The failure is one of this finding."""
        return failure.adapter in self.adapters and any(sign.fits(failure) for sign in self.signs)


_PYVENE: Final = ("pyvene", "pyvene-keeping-hooks")
_FROZEN: Final = frozenset(
    {
        "upstream-untouched",
        "zero-scale-is-identity",
        "clean-after-exit",
        "clean-after-exception",
        "model-left-alone",
        "wrong-shape-refused",
    }
)
"""What breaks when the unsteered model computes other logits after a block than before."""

FINDINGS: Final = (
    Finding(
        "steering_vectors_token_indices",
        ("steering-vectors",),
        "`apply(token_indices=…)` always ends in an `UnboundLocalError`, and so does a layer that does not exist",
        (Sign(words="UnboundLocalError"),),
    ),
    Finding(
        "steering_vectors_sequence_first",
        ("steering-vectors",),
        "`min_token_index` picks rows of the batch instead of tokens where layers emit the sequence first",
        (Sign(ids=frozenset({"only-these-positions", "single-token-prompt"}), models="xlnet"),),
    ),
    Finding(
        "steering_vectors_unchecked",
        ("steering-vectors",),
        "a vector of one element is broadcast, another width fails inside the model, infinities are sent on",
        (Sign(ids=_UNFIT),),
    ),
    Finding(
        "steering_vectors_other_tower",
        ("steering-vectors",),
        "the vision tower is steered instead of the language model where it has the more layers or the shorter name",
        (Sign(models="qwen2_vl"),),
    ),
    Finding(
        "steering_vectors_min_token_index",
        ("steering-vectors",),
        "`min_token_index` is counted anew in every pass, so with a KV cache no generated token is steered",
        (Sign(causes=frozenset({Cause.PROMPT_ONLY, Cause.SILENT_PASSES})),),
    ),
    Finding(
        "repeng_batch",
        ("repeng",),
        "a forward pass of two rows fails where the model numbers its tokens itself: one row of `position_ids` for all",
        (Sign(words=r"shape '\[.*\]' is invalid for input of size"),),
    ),
    Finding(
        "repeng_padding",
        ("repeng",),
        "padding is steered in models whose layers receive no `position_ids`",
        (Sign(causes=frozenset({Cause.PADDING})),),
    ),
    Finding(
        "repeng_unchecked",
        ("repeng",),
        "a vector of one element is broadcast, another width fails inside the model, infinities are sent on",
        (Sign(ids=_UNFIT),),
    ),
    Finding(
        "nnterp_copied_model",
        ("nnterp",),
        "a deep copy of a wrapped model computes with the original's weights",
        (Sign(ids=frozenset({"two-models"})),),
    ),
    Finding(
        "nnterp_inference_mode",
        ("nnterp",),
        "`steer` fails under `torch.inference_mode`: it adds in place in a thread that is not in that mode",
        (Sign(words="outside InferenceMode"),),
    ),
    Finding(
        "nnterp_unchecked",
        ("nnterp",),
        "a vector of one element is broadcast, another width fails inside the model, infinities are sent on",
        (Sign(ids=_UNFIT),),
    ),
    Finding(
        "transformer_lens_position_embedding",
        ("transformer-lens",),
        "a call of the bridge leaves an attribute on the position embedding",
        (Sign(causes=frozenset({Cause.ATTRIBUTE})),),
    ),
    Finding(
        "transformer_lens_replaced_modules",
        ("transformer-lens",),
        "beside the requirements: the bridge replaces the caller's own modules for good; the model is judged with the "
        "new ones",
    ),
    Finding(
        "transformer_lens_installs_packages",
        ("transformer-lens",),
        "beside the requirements: booting a model that sees pictures runs `pip install torchvision`, which may replace "
        "torch; the adapter forbids it",
    ),
    Finding(
        "pyvene_removes_hooks",
        ("pyvene",),
        "every call removes all hooks of the model, whoever registered them, so nothing can be watched",
        (
            Sign(causes=frozenset({Cause.HOOKS_REMOVED, Cause.NEVER, Cause.UNSEEN})),
            Sign(words="IndexError: list index"),
        ),
    ),
    Finding(
        "pyvene_freezes_model",
        _PYVENE,
        "wrapping a model ends its training mode and the gradients of its parameters for good, which changes the "
        "logits of a Mamba",
        (
            Sign(causes=frozenset({Cause.MODE, Cause.FLAGS})),
            Sign(ids=_FROZEN, models="mamba"),
        ),
    ),
    Finding(
        "pyvene_overflow",
        _PYVENE,
        "a scaled vector that overflows is sent on as infinity",
        (Sign(causes=frozenset({Cause.OVERFLOW})),),
    ),
)


UNEXPLAINED: Final = "unexplained"


def finding_of(failure: Failure) -> str:
    """The name of the first finding that explains a failure; ``unexplained`` when none does."""
    return next((finding.name for finding in FINDINGS if finding.explains(failure)), UNEXPLAINED)
