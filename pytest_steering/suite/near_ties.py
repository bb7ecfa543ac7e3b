"""Other tokens that are no fault: where two are equally likely within rounding, either may be chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from pytest_steering.architecture.observation import Trace
from pytest_steering.errors import Violation
from pytest_steering.oracle import checks, tolerance
from pytest_steering.oracle.forcing import Forced, Scores
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan


def tied(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor], one: Tensor, other: Tensor) -> bool:
    """The first other token is a tie within rounding between the two, by the reference implementation's logits."""
    _need_one_shape(plan, one, other)
    row, column = (one != other).nonzero()[0].tolist()
    logits = _logits(harness, plan, inputs, one)
    scores = logits[row, column - 1].double()
    margin = float((scores[one[row, column]] - scores[other[row, column]]).abs())
    return margin <= 2 * tolerance.rounding(logits)


def as_likely(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor], one: Tensor, other: Tensor) -> bool:
    """Each sequence of ``one`` is as likely as that of ``other`` within rounding, by the reference's logits.

    Beam search looks for the likeliest: one that is less likely was not found for good reasons.
    """
    _need_one_shape(plan, one, other)
    start = harness.prompts.ids(inputs).shape[1]
    likely, allowed = [], 0.0
    for sequences in (one, other):
        logits = _logits(harness, plan, inputs, sequences)
        chances = torch.log_softmax(logits[:, start - 1 : -1].double(), -1)
        chosen = sequences[:, start:].to(chances.device)[..., None]
        likely.append(chances.gather(-1, chosen)[..., 0].sum(-1))
        allowed = max(allowed, 2 * tolerance.rounding(logits) * chosen.shape[1])
    return bool((likely[0] >= likely[1] - allowed).all())


def drawn(generate: Callable[[], Tensor]) -> Tensor:
    """What ``generate`` draws with the suite's seed; the random numbers of the caller go on as if it had not run."""
    with torch.random.fork_rng(list(range(torch.cuda.device_count()))):
        torch.manual_seed(7)
        return generate()


def drawn_alike(
    harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor], found: Tensor, options: Mapping[str, Any]
) -> bool:
    """``found`` is what the seed draws from the reference implementation's scores along it, within rounding."""
    own, wanted = Scores(), Scores()
    try:
        again = drawn(lambda: _generated(harness.generated, plan, inputs, [own], options))
    except Exception:  # The adapter takes no logits processor: there is nothing to judge its draw by.
        return False
    _generated(harness.generated_expected, plan, inputs, [wanted, Forced(found)], options)
    redrawn = drawn(lambda: torch.cat([torch.multinomial(scores.softmax(-1), 1) for scores in own.steps], -1))
    if not torch.equal(again, found) or not torch.equal(redrawn, found[:, -len(own.steps) :]):
        return False
    dtype = harness.unsteered.run(inputs).result.dtype
    return all(
        tolerance.furthest(one, other) <= 2 * tolerance.rounding(other.nan_to_num(neginf=0.0).to(dtype))
        for one, other in zip(own.steps, wanted.steps, strict=True)
    )


def _generated(
    run: Callable[..., Trace],
    plan: SteeringPlan,
    inputs: Mapping[str, Tensor],
    processors: list[Any],
    options: Mapping[str, Any],
) -> Tensor:
    sequences: Tensor = run(plan, inputs, logits_processor=LogitsProcessorList(processors), **options).result
    return sequences


def _logits(harness: Harness, plan: SteeringPlan, inputs: Mapping[str, Tensor], sequences: Tensor) -> Tensor:
    asked = harness.prompts.steered_tokens(inputs, plan.positions, total=sequences.shape[1])
    logits: Tensor = harness.expected(plan, harness.prompts.extended(inputs, sequences), asked).result
    return logits


def _need_one_shape(plan: SteeringPlan, one: Tensor, other: Tensor) -> None:
    if one.shape != other.shape:
        raise Violation(f"{tuple(other.shape)} tokens instead of {tuple(one.shape)}", where=checks.named(plan))


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


def forgets_candidates(harness: Harness, inputs: Mapping[str, Tensor], sequences: Tensor, **options: Any) -> bool:
    """The unsteered model, made to choose ``sequences``, computes the same with ``options`` and without.

    ``options`` turn on assisted decoding; rounding is allowed for. A model with a state that cannot be wound back, or
    whose first pass must be the prompt's alone, computes otherwise.
    """
    plain, assisted = (_scores(harness, inputs, sequences, chosen) for chosen in ({}, options))
    return all(
        tolerance.furthest(assisted[length], scores) <= 2 * tolerance.rounding(scores.nan_to_num(neginf=0.0))
        for length, scores in plain.items()
        if length in assisted
    )


def _scores(
    harness: Harness, inputs: Mapping[str, Tensor], sequences: Tensor, options: Mapping[str, Any]
) -> dict[int, Tensor]:
    along = _Along(sequences)
    harness.unsteered.generate(inputs, logits_processor=LogitsProcessorList([along, Forced(sequences)]), **options)
    return along.kept
