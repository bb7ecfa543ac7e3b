"""What steering costs, and the seed's own scale: 100 on the final three layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from pytest_steering.architecture.observation import observe
from pytest_steering.errors import Violation
from pytest_steering.oracle import checks
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.generation_settings import own_settings
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.timing import overhead, seconds_of
from pytest_steering.plugin.benchmarks import KEY

FORWARD_BUDGET = 1.6
GENERATE_BUDGET = 2.0

NEW_TOKENS = 8


@pytest.mark.steering_requirement(id="forward-overhead")
def test_forward_overhead(harness: Harness, request: pytest.FixtureRequest) -> None:
    """a steered forward pass takes at most 1.6 times as long as an unsteered one.

    Measured in turn within one run, on eight rows of 128 tokens (of 16 where a large model runs on the CPU), steered
    in the default layers. It fails only where no noise of the machine explains what was found; what steering costs
    exactly is counted by the group cost.
    """
    inputs = _fixed_batch(harness)
    _judge(request, harness, "forward", lambda call: call(**inputs), FORWARD_BUDGET, inputs)


@pytest.mark.steering_requirement(id="generate-overhead", needs=("GENERATE",))
def test_generate_overhead(harness: Harness, request: pytest.FixtureRequest) -> None:
    """steered generation takes at most twice as long as unsteered generation of as many tokens.

    Its passes hold one token each, so what counts is the fixed cost per pass.
    """
    inputs = harness.prompts.batch()
    options = {
        "max_new_tokens": NEW_TOKENS,
        "min_new_tokens": NEW_TOKENS,
        "do_sample": False,
        "pad_token_id": harness.target.pad_token_id,
    }
    with own_settings(harness.model):
        run = partial(_generate, inputs=inputs, options=options)
        _judge(request, harness, "generate", run, GENERATE_BUDGET, inputs, new=NEW_TOKENS)


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


def _fixed_batch(harness: Harness) -> dict[str, torch.Tensor]:
    """The same work in every run: long enough to be timed, or the usual batch where little memory is free."""
    if harness.workload.note:
        return harness.prompts.batch()
    quick = harness.target.device.type != "cpu" or harness.target.small
    return harness.prompts.batch(8 if harness.can("BATCH") else 1, 128 if quick else 16)


def _generate(call: Any, *, inputs: dict[str, torch.Tensor], options: dict[str, Any]) -> Any:
    return call.generate(**inputs, **options)


def _judge(
    request: pytest.FixtureRequest,
    harness: Harness,
    what: str,
    run: Callable[[Any], Any],
    budget: float,
    inputs: dict[str, torch.Tensor],
    *,
    new: int = 0,
) -> None:
    """The overhead is within budget; it is recorded for the report and, with pytest-benchmark, as a benchmark."""
    if harness.target.sharding is not None:
        not_applicable("times are taken until they say enough, and each rank looks at its own clock")
    rows, tokens = harness.prompts.ids(inputs).shape
    work = f"{rows}x{tokens}+{new}" if new else f"{rows}x{tokens}"
    plan, device = harness.plans.plan(_layers(harness)), harness.target.device

    def steered() -> float:
        with harness.steering(plan) as call, harness.running():
            return seconds_of(partial(run, call), device)

    def unsteered() -> float:
        with harness.running():
            return seconds_of(partial(run, harness.model), device)

    cost = overhead(steered, unsteered, budget=budget)
    request.node.user_properties.append(("steering_overhead", json.dumps({what: {**cost.as_json(), "work": work}})))
    figures = {"rows": rows, "tokens": tokens, "new_tokens": new}
    request.node.user_properties.append(("steering_measured", json.dumps(figures)))
    if request.config.pluginmanager.hasplugin("benchmark"):
        benchmark = request.getfixturevalue("benchmark")
        # A key of its own: a renamed test, another rootdir or an install elsewhere must not lose the history.
        benchmark.fullname = f"{KEY}{what}::{work}::{harness.target.spec}::{harness.adapter.name}"
        benchmark.group = f"steered {what} {work}"
        benchmark.extra_info.update(
            cost.as_json(), raw_pairs=cost.times, work=work, layers=list(plan.vectors), scale=plan.scale
        )
        with harness.steering(plan) as call, harness.running():
            benchmark.pedantic(seconds_of, (partial(run, call), device), rounds=5)
    if cost.at_least > budget:
        with harness.running():
            unsteered_passes = _passes(harness, partial(run, harness.model))
        with harness.steering(plan) as call, harness.running():
            passes = _passes(harness, partial(run, call))
        more = 1e3 * (cost.steered_seconds - cost.unsteered_seconds) / unsteered_passes
        raise Violation(
            f"{cost.ratio:.2f} times as long as unsteered, {cost.at_least:.2f} beyond noise "
            f"({1e3 * cost.steered_seconds:.1f} ms beside {1e3 * cost.unsteered_seconds:.1f} ms); allowed {budget:g}",
            where=checks.named(plan),
            likely=(
                Diagnosis(Cause.RUN_AGAIN, f"{passes} passes instead of {unsteered_passes}")
                if passes > unsteered_passes
                else Diagnosis(Cause.SLOW_PASS, f"by {more:.2g} ms")
            ),
        )


def _passes(harness: Harness, run: Callable[[], Any]) -> int:
    return len(observe(harness.architecture, (), run).passes)
