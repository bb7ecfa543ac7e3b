"""How far a steered model is from the unsteered one: distances of next-token distributions, dose, input dependence.

Every distance is computed in float64 from log probabilities, as :func:`next_token_log_probabilities` gives them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from pytest_steering.architecture.inputs import tokens_go_to
from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.observation import observe
from pytest_steering.suite.encoding import device_of, filler_of, in_batches, padded, prompt_ids
from pytest_steering.suite.forced_choice import logits_at
from pytest_steering.vectors.states import tokenised

SATURATED = 0.5
"""Below this share of the unsteered input dependence the output hardly depends on the prompt any more."""


@dataclass(frozen=True)
class Divergence:
    """How far steered next-token distributions are from unsteered ones, as means over prompts, in nats.

    ``kl`` is KL(steered ‖ unsteered), ``input_dependence`` how much the steered output still says about the prompt.
    """

    kl: float
    input_dependence: float


def compare(steered: Tensor, unsteered: Tensor) -> Divergence:
    """Both measures of two sets of log probabilities of shape ``(prompts, vocabulary)``, at least two prompts."""
    return Divergence(kl=_kl(steered, unsteered), input_dependence=input_dependence(steered))


def input_dependence(log_probs: Tensor) -> float:
    """How much the next token depends on the prompt, in nats: the mean divergence from the mean distribution.

    ``log_probs`` has shape ``(prompts, vocabulary)``. 0 means that every prompt gets the same distribution; the
    largest value is the logarithm of the number of prompts.
    """
    if log_probs.ndim != 2 or len(log_probs) < 2:
        raise ValueError(f"input dependence needs two rows of (prompts, vocabulary); got {tuple(log_probs.shape)}")
    return _kl(log_probs, log_probs.logsumexp(0, keepdim=True) - math.log(len(log_probs)))


def is_saturated(steered: float, unsteered: float) -> bool:
    """Steering has made the output independent of the prompt: it kept less than half of the input dependence."""
    return steered < SATURATED * unsteered


def relative_dose(vectors: Mapping[int, Tensor], scale: float, norms: Mapping[int, float]) -> dict[int, float]:
    """By layer, the norm of what steering adds over the residual stream's mean norm there: ``‖s·v‖ / mean ‖h‖``."""
    return {layer: abs(scale) * float(vector.double().norm()) / norms[layer] for layer, vector in vectors.items()}


def next_token_log_probabilities(
    call: Any, tokenizer: Any, prompts: Sequence[str], *, batch_size: int = 8, model: Any = None
) -> Tensor:
    """The log probabilities of the token after each prompt: ``(prompts, vocabulary)``, float64 on the CPU.

    Rows are padded on the right and read at their last real token. ``call`` is a model, or a steered one
    with the ``model`` behind it. ``ValueError`` when a logit is NaN.
    """
    model = model if model is not None else call
    rows = [prompt_ids(tokenizer, prompt) for prompt in prompts]
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    for batch in in_batches([len(row) for row in rows], batch_size, progress=False, what=""):
        asked = [rows[index] for index in batch]
        fed = padded(asked, filler=filler_of(tokenizer), side="right", device=device_of(model))
        last = torch.tensor([len(row) - 1 for row in asked])
        kept = torch.tensor(sorted(set(last.tolist())))
        with torch.no_grad():
            logits = logits_at(call, model, fed, kept)[torch.arange(len(asked)), torch.searchsorted(kept, last)]
        if bool(logits.isnan().any()):
            raise ValueError(
                "there is a NaN among the logits, so nothing can be compared; lower the dose or widen the dtype"
            )
        for index, row in zip(batch, logits.log_softmax(-1), strict=True):
            found[index] = row
    return torch.stack(found)


def residual_norms(
    call: Callable[..., Any],
    architecture: Architecture,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    layers: Sequence[int],
    batch_size: int = 8,
) -> dict[int, float]:
    """By layer, the mean norm of the residual stream after it, over every real token of the prompts.

    Where several streams run side by side each counts.
    """
    sums = dict.fromkeys(layers, 0.0)
    count = 0
    device = tokens_go_to(architecture.entry)
    for start in range(0, len(prompts), batch_size):
        tokens = tokenised(architecture.model_inputs, tokenizer, prompts[start : start + batch_size], device=device)
        with torch.no_grad():
            trace = observe(architecture, layers, partial(call, **tokens.inputs))
        count += int(tokens.real.sum())
        for layer in layers:
            received = trace.received(layer)
            norms = received[:, received.shape[1] - tokens.real.shape[1] :].double().norm(dim=-1)
            each = norms.flatten(2).mean(2) if norms.ndim > 2 else norms
            sums[layer] += float(each[tokens.real.to(each.device)].sum())
    return {layer: total / count for layer, total in sums.items()}


def _kl(left: Tensor, right: Tensor) -> float:
    """KL(left ‖ right) of log probabilities, in nats, as the mean over rows; never negative."""
    terms = kl_div(right.expand_as(left), left, reduction="none", log_target=True)
    # A token that left rules out adds nothing, although 0 · -inf is no number.
    return float(torch.where(left == float("-inf"), 0.0, terms).sum(-1).clamp_min(0).mean())
