"""Steering changes what it should, by as much as it should, and nothing before it."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import torch

from pytest_steering.errors import Violation
from pytest_steering.oracle import checks, comparison, tolerance
from pytest_steering.oracle.applicability import need_package, not_applicable
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.experiments import never_arrives, settle
from pytest_steering.oracle.diagnosis.place import behind, wrong_place
from pytest_steering.oracle.diagnosis.strength import wrong_scale
from pytest_steering.oracle.diagnosis.tokens import Evidence, likely_cause
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.suite.token_direction import token_direction
from pytest_steering.suite.trained import CONTROLS, Behaviour, Effect, WeaknessBehaviour, by_name

PLACES = ("first", "middle", "last")


@pytest.mark.parametrize("scale", [0.5, -3.0])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="exact-delta", core=True)
def test_exact_delta(harness: Harness, place: str, scale: float) -> None:
    """the steered residual equals the unsteered one plus scale times the vector.

    Read where the next module receives it, at every token of a batch, in units in the last place. A failure here
    with Δ = scale · v everywhere means that nothing was added: look whether the hook fires and returns its result.
    """
    for layer in harness.plans.layers(place):
        checks.forward(harness, harness.plans.plan([layer], scale), harness.prompts.batch())


@pytest.mark.parametrize("place", ["middle", "last"])
@pytest.mark.steering_requirement(id="upstream-untouched", core=True)
def test_upstream_untouched(harness: Harness, place: str) -> None:
    """everything before the steered layer is bit-equal to the unsteered run.

    A difference here means that the vector lands a layer early, or that the input was changed instead of the output.
    """
    inputs = harness.prompts.batch()
    for layer in harness.plans.layers(place):
        plan = harness.plans.plan([layer])
        steered, plain = harness.steered(plan, inputs), harness.unsteered.run(inputs)
        for before in range(layer):
            try:
                comparison.identical(
                    steered.received(before),
                    plain.received(before),
                    f"the residual stream after layer {before}",
                    where=f"layer {layer}",
                )
            except Violation as violation:
                settle(violation, lambda plan=plan: wrong_place(harness, plan, inputs))  # type: ignore[misc]
                raise


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="zero-scale-is-identity", core=True)
def test_zero_scale_is_identity(harness: Harness, place: str) -> None:
    """at scale 0 every residual and every logit is bit-equal to the unsteered run."""
    inputs = harness.prompts.batch()
    plan = harness.plans.plan(harness.plans.layers(place), 0.0)
    steered, plain = harness.steered(plan, inputs), harness.unsteered.run(inputs)
    for layer in harness.architecture.every_layer:
        comparison.identical(
            steered.received(layer),
            plain.received(layer),
            f"the residual stream after layer {layer}",
            where=checks.named(plan),
            likely=Diagnosis(Cause.AT_ZERO),
        )
    comparison.identical(steered.result, plain.result, "the logits", where=checks.named(plan))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="scale-is-linear", core=True)
def test_scale_is_linear(harness: Harness, place: str) -> None:
    """the delta grows in proportion to the scale, from an eighth to sixty-four.

    A scale that is clamped, normalised or rounded shows here at one end of the range.
    """
    inputs = harness.prompts.batch()
    for layer in harness.plans.layers(place):
        for scale in (0.125, 1.0, 8.0, 64.0):
            checks.forward(harness, harness.plans.plan([layer], scale), inputs)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="sign-is-kept", core=True)
def test_sign_is_kept(harness: Harness, place: str) -> None:
    """a positive scale moves the residual along the vector and a negative one against it."""
    inputs = harness.prompts.batch()
    for layer in harness.plans.layers(place):
        vector = harness.plans.vector(layer).double()
        plain = harness.unsteered.run(inputs).received(layer).double().cpu()
        for scale in (2.0, -2.0):
            moved = harness.steered(harness.plans.plan([layer], scale), inputs).received(layer).double().cpu() - plain
            moved = moved[:, harness.architecture.extra_positions.in_stream :]
            arriving = moved @ vector / (vector @ vector)
            if not bool((arriving * scale > 0).all()):
                rows = moved.flatten(2, -2).movedim(2, 1).flatten(0, 1) if moved.ndim > 3 else moved
                asked = torch.ones(rows.shape[:2], dtype=torch.bool)
                raise Violation(
                    f"the residual moves by {float(arriving.mean()):+.3g} vectors",
                    where=f"layer {layer}, scale {scale:g}",
                    likely=likely_cause(Evidence(rows, vector, scale, asked, streams=len(rows) // len(moved))),
                )


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.steering_requirement(id="logits-diverge", core=True)
def test_logits_diverge(harness: Harness, place: str) -> None:
    """the logits move by more than the measured noise, to where the reference implementation moves them."""
    inputs = harness.prompts.batch()
    for layer in harness.plans.layers(place):
        plan = harness.plans.plan([layer])
        runs = harness.unsteered.run(inputs), harness.steered(plan, inputs), harness.expected(plan, inputs)
        harness.figures.layers(layer, *runs)
        plain, steered, expected = (trace.result for trace in runs)
        noise = tolerance.furthest(plain, harness.unsteered.run_again(inputs).result)
        floor = max(10 * noise, tolerance.rounding(plain, dtype=harness.dtype_of(plain)))
        distance = tolerance.furthest(steered, plain)
        if not distance > floor:
            violation = Violation(
                f"the logits move by {distance:.1e}, the noise floor is {floor:.1e}", where=f"layer {layer}"
            )
            settle(violation, lambda plan=plan: never_arrives(harness, plan, inputs))  # type: ignore[misc]
            raise violation
        try:
            comparison.close(
                steered,
                expected,
                "the logits, beside those of the reference implementation",
                where=f"layer {layer}",
                dtype=harness.dtype_of(expected),
            )
        except Violation as violation:
            settle(
                violation,
                lambda plan=plan: wrong_place(harness, plan, inputs),  # type: ignore[misc]
                lambda plan=plan: behind(harness, plan, inputs),  # type: ignore[misc]
            )
            raise


@pytest.mark.steering_requirement(id="tokens-diverge", core=True, needs=("GENERATE",))
def test_tokens_diverge(harness: Harness) -> None:
    """a large scale changes the generated tokens, to those that the reference implementation generates."""
    inputs = harness.prompts.batch(rows=1)
    layer = harness.plans.layers("last")[0]
    plain = harness.unsteered.generate(inputs)
    token = _rare_token(harness, inputs)
    direction = _direction(harness, inputs, token)
    plan = SteeringPlan({layer: direction * harness.unsteered.residual_size(layer)}, 32.0)
    expected = harness.generated_expected(plan, inputs).result
    if torch.equal(expected, plain):
        not_applicable(f"scale {plan.scale:g} at layer {layer} changes no token by the reference implementation either")
    found = harness.generated(plan, inputs).result
    same = torch.equal(found, plain)
    comparison.same_tokens(
        found,
        expected,
        "the generated tokens",
        where=f"layer {layer}, scale {plan.scale:g}",
        likely=Diagnosis(Cause.USE, "it generates what the unsteered model generates") if same else None,
    )


@pytest.mark.steering_requirement(id="dose-response", core=True)
def test_dose_response(harness: Harness) -> None:
    """steering along a token's direction raises that token's logit with every larger scale and lowers it with every
    smaller one.

    The direction is the gradient of the logit with respect to the last residual stream; scales stay below a third of
    the residual's size, where the response is monotone.
    """
    inputs = harness.prompts.batch(rows=1)
    layer = harness.plans.layers("last")[0]
    token = _rare_token(harness, inputs)
    direction = _direction(harness, inputs, token) * harness.unsteered.residual_size(layer)
    scales = (-0.3, -0.15, 0.0, 0.15, 0.3)
    levels = [
        float(harness.steered(SteeringPlan({layer: direction}, scale), inputs).result[:, -1, token].double().mean())
        for scale in scales
    ]
    harness.figures.note("response", layer=layer, token=token, scales=scales, levels=levels)
    if any(after <= before for before, after in pairwise(levels)):
        curve = ", ".join(f"{scale:+g}: {level:.4g}" for scale, level in zip(scales, levels, strict=True))
        violation = Violation(
            f"the logit of token {token} does not rise with the scale ({curve})", where=f"layer {layer}"
        )
        if len(set(levels)) == 1:
            plan = SteeringPlan({layer: direction}, scales[-1])
            settle(violation, lambda: wrong_scale(harness, plan, inputs), lambda: never_arrives(harness, plan, inputs))
        raise violation


@pytest.mark.steering_requirement(id="beats-random-direction", needs=("trained",))
def test_beats_random_direction(harness: Harness, behaviour: Behaviour) -> None:
    """a trained direction moves its own behaviour more than random directions of the same size.

    The behaviour is the first that the unsteered model has: it goes on in the language of a text, in code or in prose,
    with the sentiment of a review, with the truth of a sentence, or says yes to vulnerable code and no to patched code.
    """
    behaviour.need()
    by_chance = max(behaviour.expected(SteeringPlan(behaviour.random(number))) for number in range(CONTROLS))
    for scale in (1.0, -1.0):
        plan = SteeringPlan(behaviour.direction, scale)
        wanted = behaviour.expected(plan) * scale
        if wanted <= by_chance:
            not_applicable(
                f"the reference implementation's direction moves the answers about {behaviour.name} by {wanted:+.3g} "
                f"nats and a random one by up to {by_chance:+.3g}: this model does not hold it as a direction"
            )
        with harness.steering(plan) as steered, harness.running():
            found = behaviour.effect(steered) * scale
        if found <= by_chance:
            raise Violation(
                f"the answer moves by {found:+.3g} nats along the vector; by up to {by_chance:+.3g} for {CONTROLS} "
                f"random directions of the same norm, and by {wanted:+.3g} for the reference implementation "
                f"(asked: {behaviour.name})",
                where=checks.named(plan),
            )


@pytest.mark.steering_requirement(id="consistent-across-cwes", needs=("trained",))
def test_consistent_across_cwes(harness: Harness, request: pytest.FixtureRequest) -> None:
    """a trained direction moves the answer in every weakness as far as the reference implementation moves it.

    Asked of models that tell vulnerable from patched code.
    The effect in each of eight weaknesses is reported in nats, with a 95% interval over scenarios.
    """
    need_package("scipy", "study")
    behaviour = WeaknessBehaviour(harness)
    behaviour.need()
    plan = SteeringPlan(behaviour.direction)
    wanted = behaviour.expected_effects(plan)
    with harness.steering(plan) as steered, harness.running():
        found = behaviour.effects(steered)
    compared = {cwe: Effect.of(found[cwe], wanted[cwe]) for cwe in wanted}
    request.node.user_properties.append(("steering_effects", json.dumps(by_name(compared))))
    if not any(effect.wanted.excludes_zero for effect in compared.values()):
        not_applicable(
            "the reference implementation's direction moves the answer in no weakness: no interval excludes 0"
        )
    logits = harness.unsteered.run(harness.prompts.batch()).result
    slack = 2 * tolerance.rounding(logits, dtype=harness.dtype_of(logits))
    for cwe, effect in compared.items():
        if not effect.as_wanted(slack):
            raise Violation(
                f"in {cwe} the answer moves by {effect.found.estimate:+.3g} nats; by {effect.wanted} for the second "
                "mechanism",
                where=checks.named(plan),
            )


def _rare_token(harness: Harness, inputs: dict[str, torch.Tensor]) -> int:
    """A token that the unsteered model finds neither likely nor absurd after the first row: the median one.

    Not the padding token, whose embedding is zero in many models.
    """
    order = harness.unsteered.run(inputs).result[0, -1].float().argsort()
    order = order[order != harness.target.pad_token_id]
    return int(order[len(order) // 2])


def _direction(harness: Harness, inputs: dict[str, torch.Tensor], token: int) -> torch.Tensor:
    """The direction that raises the token's logit, or not applicable where the model's own code has no gradient."""
    try:
        return token_direction(harness.model, harness.architecture, inputs, token)
    except RuntimeError as error:
        not_applicable(f"the model's own code has no gradient: {' '.join(str(error).split())[:120]}")
