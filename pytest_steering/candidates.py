"""Candidates of assisted decoding that are thrown away, and models that do not forget them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from pytest_steering import tolerance
from pytest_steering.replay import Forced
from pytest_steering.trial import Trial


class _Along(LogitsProcessor):  # type: ignore[misc]
    """The scores of the token after each beginning of ``sequences``, by its length; others are not kept."""

    def __init__(self, sequences: Tensor) -> None:
        self._sequences = sequences
        self.kept: dict[int, Tensor] = {}

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The same scores."""
        length = input_ids.shape[1]
        if torch.equal(input_ids, self._sequences[:, :length].to(input_ids.device)):
            self.kept[length] = scores.clone()
        return scores


def forgets_candidates(trial: Trial, inputs: Mapping[str, Tensor], sequences: Tensor, **options: Any) -> bool:
    """The unsteered model, made to choose ``sequences``, computes the same with ``options`` and without.

    ``options`` turn on assisted decoding; rounding is allowed for. A model with a state that cannot be wound back, or
    whose first pass must be the prompt's alone, computes otherwise.
    """
    plain, assisted = (_scores(trial, inputs, sequences, chosen) for chosen in ({}, options))
    return all(
        tolerance.furthest(assisted[length], scores) <= 2 * tolerance.rounding(scores.nan_to_num(neginf=0.0))
        for length, scores in plain.items()
        if length in assisted
    )


def _scores(
    trial: Trial, inputs: Mapping[str, Tensor], sequences: Tensor, options: Mapping[str, Any]
) -> dict[int, Tensor]:
    along = _Along(sequences)
    trial.generated_plain(inputs, logits_processor=LogitsProcessorList([along, Forced(sequences)]), **options)
    return along.kept
