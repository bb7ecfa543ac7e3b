"""What steering costs, and the seed's own scale: 100 on the final three layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from pytest_steering.architecture.observation import observe
from pytest_steering.architecture.residual import logits_of
from pytest_steering.errors import Violation
from pytest_steering.oracle import checks
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.generation_settings import own_settings
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.timing import overhead, seconds_of

FORWARD_BUDGET = 1.6
GENERATE_BUDGET = 2.0

_LONG_ENOUGH = 0.005
_MOST_TOKENS = 128
_MOST_ROWS = 48


@pytest.mark.steering_requirement(id="forward-overhead")
def test_forward_overhead(harness: Harness, request: pytest.FixtureRequest) -> None:
    """a steered forward pass takes at most 1.6 times as long as an unsteered one.

    Measured in turn within one run, on a batch that takes five milliseconds or more; steered in the default layers.
    """
    inputs = _long_batch(harness)
    _judge(request, harness, "forward", lambda call: call(**inputs), FORWARD_BUDGET)


@pytest.mark.steering_requirement(id="generate-overhead", needs=("GENERATE",))
def test_generate_overhead(harness: Harness, request: pytest.FixtureRequest) -> None:
    """steered generation takes at most twice as long as unsteered generation of as many tokens.

    Its passes hold one token each, so what counts is the fixed cost per pass.
    """
    inputs = harness.prompts.batch()
    options = {
        "max_new_tokens": 16,
        "min_new_tokens": 16,
        "do_sample": False,
        "pad_token_id": harness.target.pad_token_id,
    }
    with own_settings(harness.model):
        _judge(request, harness, "generate", lambda call: call.generate(**inputs, **options), GENERATE_BUDGET)


@pytest.mark.steering_requirement(id="seed-dose", needs=("MULTI_LAYER",))
def test_seed_dose(harness: Harness) -> None:
    """scale 100 on the final three layers arrives exactly and leaves every logit finite.

    A robustness case and no evidence: the final norm takes the magnitude away, and the output hardly depends on the
    prompt any more.
    """
    plan = harness.plans.plan(harness.architecture.steering_layers, 100.0)
    inputs = harness.prompts.batch()
    try:
        checks.forward(harness, plan, inputs)
    except ValueError as error:
        checks.forward(harness, harness.plans.plan(harness.architecture.steering_layers), inputs)
        # At scale 1 it is accepted.
        detail = f"refused: {' '.join(str(error).split())[:120]}"
        raise Violation(detail, where=checks.named(plan), likely=Diagnosis(Cause.REFUSED, f"{plan.scale:g}")) from error
    logits = harness.steered(plan, inputs).result
    wrong = int((~torch.isfinite(logits)).sum())
    if wrong:
        raise Violation(f"{wrong} of {logits.numel()} logits are not finite", where=checks.named(plan))


def _layers(harness: Harness) -> tuple[int, ...]:
    return (
        harness.architecture.steering_layers
        if harness.can("MULTI_LAYER")
        else harness.architecture.steering_layers[-1:]
    )


def _long_batch(harness: Harness) -> dict[str, torch.Tensor]:
    """A batch whose unsteered pass takes long enough to time, within what fits: longer rows first, then more."""
    rows, tokens = harness.workload.rows, harness.workload.tokens
    while True:
        inputs = harness.prompts.batch(rows, tokens)
        run = partial(harness.model, **inputs)
        with harness.running():
            logits_of(run())
            seconds = min(seconds_of(run, harness.target.device) for _ in range(3))
        if seconds >= _LONG_ENOUGH or harness.workload.note:
            return inputs
        if 2 * tokens <= _MOST_TOKENS:
            tokens *= 2
        elif 2 * rows <= _MOST_ROWS:
            rows *= 2
        else:
            return inputs


def _judge(
    request: pytest.FixtureRequest, harness: Harness, what: str, run: Callable[[Any], Any], budget: float
) -> None:
    """The overhead is within budget; it is recorded for the report and, with pytest-benchmark, as a benchmark."""
    plan, device = harness.plans.plan(_layers(harness)), harness.target.device

    def steered() -> float:
        with harness.steering(plan) as call, harness.running():
            return seconds_of(partial(run, call), device)

    def unsteered() -> float:
        with harness.running():
            return seconds_of(partial(run, harness.model), device)

    cost = overhead(steered, unsteered)
    request.node.user_properties.append(("steering_overhead", json.dumps({what: cost.as_json()})))
    if request.config.pluginmanager.hasplugin("benchmark"):
        benchmark = request.getfixturevalue("benchmark")
        # A key of its own: a renamed test, another rootdir or an install elsewhere must not lose the history.
        benchmark.fullname = f"pytest-steering::{what}::{harness.target.spec}::{harness.adapter.name}"
        benchmark.group = f"steered {what}"
        benchmark.extra_info.update(ratio=cost.ratio, layers=list(plan.vectors), scale=plan.scale)
        with harness.steering(plan) as call, harness.running():
            benchmark.pedantic(seconds_of, (partial(run, call), device), rounds=5, warmup_rounds=1)
    if cost.ratio > budget:
        with harness.running():
            unsteered_passes = _passes(harness, partial(run, harness.model))
        with harness.steering(plan) as call, harness.running():
            passes = _passes(harness, partial(run, call))
        more = 1e3 * (cost.steered_seconds - cost.unsteered_seconds) / unsteered_passes
        raise Violation(
            f"{cost.ratio:.2f} times as long as unsteered ({1e3 * cost.steered_seconds:.1f} ms beside "
            f"{1e3 * cost.unsteered_seconds:.1f} ms); allowed {budget:g}",
            where=checks.named(plan),
            likely=(
                Diagnosis(Cause.RUN_AGAIN, f"{passes} passes instead of {unsteered_passes}")
                if passes > unsteered_passes
                else Diagnosis(Cause.SLOW_PASS, f"by {more:.2g} ms")
            ),
        )


def _passes(harness: Harness, run: Callable[[], Any]) -> int:
    return len(observe(harness.architecture, (), run).passes)
