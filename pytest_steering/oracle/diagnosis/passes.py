"""Which passes of a generation are steered, at which tokens, and how much: the pattern over all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.steering.plan import Positions


@dataclass(frozen=True, eq=False)
class SeenPass:
    """One pass: the tokens that moved, those that should have, and how far."""

    start: int
    """The first absolute column."""
    moved: Tensor
    """``(rows, columns)``, and so is ``asked``."""
    asked: Tensor
    scale: float
    """That of the tokens to steer, on average, in parts of the plan's; 0 where there are none."""
    even: bool = True
    """It is the same at each of them."""

    @property
    def columns(self) -> int:
        """How many tokens the pass has."""
        return int(self.asked.shape[1])

    @property
    def right(self) -> bool:
        """Exactly the tokens to steer moved."""
        return torch.equal(self.moved, self.asked)

    @property
    def silent(self) -> bool:
        """Tokens were to be steered and none moved."""
        return bool(self.asked.any()) and not bool(self.moved.any())


def likely_passes(passes: Sequence[SeenPass], positions: Positions, prompt: int) -> Diagnosis | None:
    """The bug class of a generation that is steered otherwise than asked, or an empty string.

    A plain forward pass is known to be steered where no pass of this is. ``prompt`` is how many columns the prompt has.
    """
    if all(step.right for step in passes):
        return _fading(passes)
    steered = [step for step in passes if bool(step.asked.any())]
    count = next((number for number, step in enumerate(steered) if not step.right), 0)
    if count and all(step.silent for step in steered[count:]):
        if count == 1 and steered[0].start == 0:
            return Diagnosis(Cause.PROMPT_ONLY)
        if count > 1 or positions is Positions.GENERATED:
            return Diagnosis(Cause.GIVES_UP, f"{count} of {len(steered)} passes are steered")
    if positions is Positions.PROMPT and _only(
        passes, lambda step: step.start == 0 and step.columns == 1 and step.silent
    ):
        return Diagnosis(Cause.ONE_TOKEN, "it is not steered as a part of the prompt")
    if positions is Positions.GENERATED and (said := _generated(passes, prompt)):
        return said
    if positions is not Positions.ALL and all(bool(step.moved.all()) for step in passes):
        return Diagnosis(Cause.ALL_POSITIONS)
    if positions is Positions.LAST and _only(passes, lambda step: step.start + step.columns < prompt and _last(step)):
        return Diagnosis(Cause.LAST_OF_PASS, "the last token of a chunk of the prompt is steered")
    if _only(passes, lambda step: step.start > 0 and step.columns > 1 and _last(step)) and prompt > 1:
        return Diagnosis(Cause.LAST_CANDIDATE)
    silent = [number for number, step in enumerate(passes) if step.silent]
    return Diagnosis(Cause.SILENT_PASSES, f"{silent} of {len(passes)}") if silent else None


def _only(passes: Sequence[SeenPass], fits: Callable[[SeenPass], bool]) -> bool:
    """Some passes are wrong, and each that is fits."""
    wrong = [step for step in passes if not step.right]
    return bool(wrong) and all(fits(step) for step in wrong)


def _last(step: SeenPass) -> bool:
    """The last column alone moved."""
    return bool(step.moved[:, -1].all()) and not bool(step.moved[:, :-1].any())


def _generated(passes: Sequence[SeenPass], prompt: int) -> Diagnosis | None:
    wrong = {
        step.start + column
        for step in passes
        for column in (step.moved != step.asked).any(0).nonzero().flatten().tolist()
    }
    missed = any(bool((step.asked & ~step.moved).any()) for step in passes)
    if missed and wrong == {prompt} and any(bool((step.asked & step.moved).any()) for step in passes):
        return Diagnosis(Cause.BORDER, f"position {prompt}, off by one at the border")
    if not missed and all(bool(step.moved.all()) for step in passes):
        return Diagnosis(Cause.GENERATED_AS_ALL)
    return None


def _fading(passes: Sequence[SeenPass]) -> Diagnosis | None:
    scales = [step.scale for step in passes if bool(step.asked.any())]
    if (
        len(scales) < 2
        or not all(step.even for step in passes)
        or abs(scales[0] - 1) > 0.01
        or max(scales) - min(scales) <= 0.01
    ):
        return None
    shown = ", ".join(f"{scale:.3g}" for scale in scales[:4]) + (" …" if len(scales) > 4 else "")
    return Diagnosis(Cause.FADES, f"{shown} times the plan's")
