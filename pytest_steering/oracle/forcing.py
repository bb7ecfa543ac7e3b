"""Making an unsteered model walk the path of a steered one."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

_UNLIKELY = -1e4
"""Not minus infinity: assisted decoding drops candidates that a processor makes impossible, and runs other passes."""


class Forced(LogitsProcessor):  # type: ignore[misc]
    """The token of ``sequences`` is by far the likeliest at each step."""

    def __init__(self, sequences: Tensor) -> None:
        self.sequences = sequences

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores that are all alike but for the token that comes next."""
        column = min(input_ids.shape[1], self.sequences.shape[1] - 1)
        chosen = self.sequences[:, column].to(scores.device)
        only = torch.full_like(scores, _UNLIKELY)
        return only.scatter(1, chosen.unsqueeze(1), 0.0)


class Scores(LogitsProcessor):  # type: ignore[misc]
    """The scores that each token is chosen from are kept, ``(rows, vocabulary)`` for each step."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The same scores."""
        self.steps.append(scores.clone())
        return scores


def forced(sequences: Tensor) -> LogitsProcessorList:
    """A logits processor that forces ``sequences``, of shape ``(rows, prompt and generated columns)``."""
    return LogitsProcessorList([Forced(sequences)])
