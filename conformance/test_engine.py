"""Serving engines: each request is steered by its own plan, in any company, however the engine schedules it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from pytest_steering.engines.protocol import Request
from pytest_steering.errors import EngineError, Violation, one_line
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.engines.effects import THROUGHPUT, growth, refused
from pytest_steering.oracle.engines.harness import EngineHarness, bits
from pytest_steering.oracle.timing import overhead, seconds_of
from pytest_steering.steering.plan import Positions, SteeringPlan

IN_COMPANY = dict.fromkeys(
    (Cause.GIVES_UP, Cause.POSITIONS, Cause.PROMPT_ONLY, Cause.PROMPT_LEFT, Cause.BORDER, Cause.FIRST_LEFT),
    Cause.COMPANY,
)
"""What goes wrong in a batch, where other requirements ask for it alone."""


@pytest.mark.steering_requirement(id="agrees-unsteered", since="1.1", core=True)
def test_agrees_unsteered(engine_harness: EngineHarness, request: pytest.FixtureRequest) -> None:
    """unsteered requests of any length, alone and together, get the log-probabilities of the unsteered model."""
    request.node.user_properties.append(("steering_precision", json.dumps(engine_harness.precision())))
    limits = engine_harness.limits
    lengths = (1, 3, limits.chunk, 2 * limits.block + 1, 6)
    engine_harness.check(*(engine_harness.request(length, seed=length) for length in lengths))
    engine_harness.check(engine_harness.request(4, seed=9, max_new_tokens=8))


@pytest.mark.parametrize("scale", [1.0, -1.0])
@pytest.mark.parametrize("where", ["first", "middle", "last"])
@pytest.mark.steering_requirement(id="prompt-steered", since="1.1", core=True, needs=("PROMPT_LOG_PROBS",))
def test_prompt_steered(engine_harness: EngineHarness, where: str, scale: float) -> None:
    """every prompt token of a steered request is steered, at the first, a middle and the last layer, plus and minus."""
    plan = engine_harness.plan(engine_harness.layer(where), scale=scale)
    engine_harness.check(engine_harness.request(5, plan, seed=1), where=f"layer {where}, scale {scale}")


@pytest.mark.steering_requirement(id="decode-steered", since="1.1", core=True)
def test_decode_steered(engine_harness: EngineHarness) -> None:
    """every generated token of a steered request is steered, for as long as generation goes on."""
    plan = engine_harness.plan()
    engine_harness.check(engine_harness.request(3, plan, seed=2, max_new_tokens=14))
    engine_harness.check(engine_harness.request(5, plan, seed=3, max_new_tokens=6, stop=()))


@pytest.mark.parametrize("positions", [Positions.LAST, Positions.PROMPT, Positions.GENERATED])
@pytest.mark.steering_requirement(id="plan-positions", since="1.1")
def test_plan_positions(engine_harness: EngineHarness, positions: Positions) -> None:
    """a plan for the last, the prompt's or the generated tokens steers these and no other."""
    engine_harness.need_positions(positions)
    plan = engine_harness.plan(positions=positions)
    engine_harness.check(engine_harness.request(5, plan, seed=4, max_new_tokens=5), where=f"positions {positions}")


@pytest.mark.steering_requirement(id="several-layers", since="1.1", needs=("MULTI_LAYER",))
def test_several_layers(engine_harness: EngineHarness) -> None:
    """a plan for several layers steers each of them, by a vector of its own."""
    layers = dict.fromkeys(engine_harness.layer(where) for where in ("first", "middle", "last"))
    engine_harness.check(engine_harness.request(5, engine_harness.plan(*layers), seed=5))


@pytest.mark.parametrize("scale", [0.125, 0.3, -3.0, 5.0, -7.0, 16.0])
@pytest.mark.steering_requirement(id="each-scale", since="1.1", core=True)
def test_each_scale(engine_harness: EngineHarness, scale: float) -> None:
    """every scale is meant as it stands, from an eighth to sixteen and of either sign.

    Compared with the reference implementation at each, which is as linear as the model is and no more.
    """
    plan = engine_harness.plan(scale=scale)
    engine_harness.check(engine_harness.request(4, plan, seed=6, max_new_tokens=2), where=f"scale {scale:g}")


@pytest.mark.steering_requirement(id="zero-scale-is-no-plan", since="1.1", core=True)
def test_zero_scale_is_no_plan(engine_harness: EngineHarness) -> None:
    """scale 0 and no plan are the unsteered engine to the bit.

    Of several unsteered runs of the same request, for one may have come from a cache and another not.
    """
    request = engine_harness.request(9, seed=7)
    plain = [bits(engine_harness.run(request)) for _ in range(3)]
    zero = bits(engine_harness.run(replace(request, plan=engine_harness.plan(scale=0.0))))
    after = bits(engine_harness.run(request))
    for found, what in ((zero, "at scale 0"), (after, "after a run at scale 0")):
        if found not in plain:
            raise Violation(
                f"{what} the engine says something else than without a plan",
                likely=Diagnosis(Cause.UNEQUAL_ZERO),
            )


@pytest.mark.steering_requirement(id="mixed-batch", since="1.1", core=True)
def test_mixed_batch(engine_harness: EngineHarness) -> None:
    """each request of a batch of different plans, lengths and layers, some without a plan, is answered as if alone."""
    first, last = engine_harness.layer("first"), engine_harness.layer("last")
    requests = [
        engine_harness.request(6, engine_harness.plan(first, seed=1), seed=10, max_new_tokens=7),
        engine_harness.request(3, None, seed=11, max_new_tokens=2),
        engine_harness.request(8, engine_harness.plan(last, scale=-2.0, seed=2), seed=12, max_new_tokens=4),
    ][: max(2, engine_harness.limits.slots)]
    engine_harness.check(requests[0], where="alone")
    engine_harness.check(*requests, named={**IN_COMPANY, Cause.NEVER: Cause.COMPANY})


@pytest.mark.steering_requirement(id="more-than-fit", since="1.1", core=True)
def test_more_than_fit(engine_harness: EngineHarness) -> None:
    """more requests than fit at once are each steered by their own plan, whatever ran in their slot before."""
    layers = [engine_harness.layer(where) for where in ("first", "middle", "last")]
    count = engine_harness.limits.slots + 4
    requests = [
        engine_harness.request(
            2 + number % 3,
            engine_harness.plan(layers[number % 3], seed=number) if number % 4 != 2 else None,
            seed=20 + number,
            max_new_tokens=2 + 2 * (number % 3),
        )
        for number in range(count)
    ]
    # The last ones wait: one without a plan, one with a plan of its own.
    requests[-2] = replace(requests[-2], plan=None)
    for number, (request, response) in enumerate(zip(requests, engine_harness.run(*requests), strict=True)):
        late = {Cause.NEVER: Cause.WAITING} if number >= engine_harness.limits.slots else {}
        where = f"request {number} of {count}"
        engine_harness.judge(request, response, where=where, named={**IN_COMPANY, **late})


@pytest.mark.steering_requirement(id="prefix-cache", since="1.1")
def test_prefix_cache(engine_harness: EngineHarness) -> None:
    """no request is served a prefix that was computed under another plan, scale, vector or position."""
    miscounted = dict.fromkeys((Cause.CHUNK_TAIL, Cause.PROMPT_END, Cause.POSITIONS, Cause.GIVES_UP), Cause.CACHED)
    miscounted |= dict.fromkeys((Cause.EXTRA_TOKENS, Cause.ALL_POSITIONS, Cause.OFF_BY_ONE), Cause.PREFIX)
    plan = engine_harness.plan()
    own = {layer: vector.clone() for layer, vector in plan.vectors.items()}
    changing = SteeringPlan(own)
    request = partial(engine_harness.request, 3 * engine_harness.limits.block + 1, seed=30, max_new_tokens=2)
    engine_harness.check(request(plan), where="first")
    engine_harness.check(request(None), where="without a plan, after a plan")
    engine_harness.check(request(replace(plan, scale=-2.0)), where="at another scale")
    engine_harness.check(request(changing), where="with the same vector")
    for vector in own.values():
        vector.mul_(-1.5)
    fresh = SteeringPlan({layer: vector.clone() for layer, vector in own.items()})
    engine_harness.met.append(plan)
    (response,) = engine_harness.run(request(changing))
    engine_harness.judge(request(fresh), response, where="with other numbers in the same vector")
    for positions in (Positions.GENERATED, Positions.PROMPT, Positions.LAST):
        if engine_harness.can(positions.name):
            engine_harness.check(
                request(replace(plan, positions=positions)), where=f"positions {positions}", named=miscounted
            )
    engine_harness.check(
        request(engine_harness.plan(seed=3)), request(None), request(plan), where="several plans together"
    )
    # What was generated in one turn is prompt in the next: the same plan means other tokens of the same prefix.
    block = engine_harness.limits.block
    for positions in (Positions.GENERATED, Positions.PROMPT, Positions.LAST):
        if engine_harness.can(positions.name):
            meant = replace(plan, positions=positions)
            turn = engine_harness.request(block + 1, meant, seed=31, max_new_tokens=block)
            (response,) = engine_harness.check(turn, where=f"positions {positions}, first turn", named=miscounted)
            said = response.completions[0].tokens
            following = replace(turn, prompt=(*turn.prompt, *said), max_new_tokens=2)
            engine_harness.check(following, where=f"positions {positions}, next turn", named=miscounted)


@pytest.mark.parametrize("positions", [Positions.ALL, Positions.LAST, Positions.PROMPT])
@pytest.mark.steering_requirement(id="chunk-borders", since="1.1")
def test_chunk_borders(engine_harness: EngineHarness, positions: Positions) -> None:
    """a prompt that ends just before, at or just after the border of a chunk is steered like any other."""
    engine_harness.need_positions(positions)
    chunk = engine_harness.limits.chunk
    for length in (chunk - 1, chunk, chunk + 1, 2 * chunk + 1):
        plan = engine_harness.plan(positions=positions)
        request = engine_harness.request(length, plan, seed=40 + length, max_new_tokens=2)
        engine_harness.check(request, where=f"positions {positions}, prompt of {length}")


@pytest.mark.parametrize("positions", list(Positions))
@pytest.mark.steering_requirement(id="one-token-request", since="1.1")
def test_one_token_request(engine_harness: EngineHarness, positions: Positions) -> None:
    """a prompt of one token is a prompt: it is steered as one, and so is each token after it."""
    engine_harness.need_positions(positions)
    plan = engine_harness.plan(positions=positions)
    mistaken = (Cause.NEVER, Cause.PROMPT_END, Cause.EXTRA_TOKENS, Cause.ALL_POSITIONS, Cause.OFF_BY_ONE)
    named = dict.fromkeys(mistaken, Cause.ONE_TOKEN)
    engine_harness.check(engine_harness.request(1, plan, seed=50), where=f"positions {positions}", named=named)


@pytest.mark.steering_requirement(id="long-prompt", since="1.1")
def test_long_prompt(engine_harness: EngineHarness) -> None:
    """a prompt of several blocks and chunks is steered at every token."""
    limits = engine_harness.limits
    length = min(limits.context - 4, 2 * max(limits.chunk, limits.block) + limits.block + 1)
    engine_harness.check(engine_harness.request(length, engine_harness.plan(), seed=60, max_new_tokens=2))


@pytest.mark.steering_requirement(id="preempted", since="1.1")
def test_preempted(engine_harness: EngineHarness) -> None:
    """requests that together need more cache than there is are steered as if there were enough."""
    limits = engine_harness.limits
    each = min(limits.context, limits.cache // limits.slots + 2 * limits.block)
    length = each // 2
    # The youngest are preempted first, as a rule: they have the positions that a resumed request may mistake.
    kinds = [each for each in (Positions.GENERATED, Positions.ALL) if _can(engine_harness, each)]
    requests = [
        engine_harness.request(
            length + number % 3,
            engine_harness.plan(positions=kinds[(limits.slots - 1 - number) % len(kinds)], seed=number)
            if number != 1
            else None,
            seed=70 + number,
            max_new_tokens=each - length - 2,
        )
        for number in range(limits.slots)
    ]
    named = {Cause.GIVES_UP: Cause.RESUMED, Cause.NEVER: Cause.RESUMED}
    engine_harness.check(*requests, named=named)


def _can(harness: EngineHarness, positions: Positions) -> bool:
    return positions is Positions.ALL or harness.can(positions.name)


@pytest.mark.steering_requirement(id="several-completions", since="1.1", needs=("SEVERAL",))
def test_several_completions(engine_harness: EngineHarness) -> None:
    """every one of several completions of a request is steered, and where they are drawn they are not all alike."""
    plan = engine_harness.plan()
    named = {Cause.NEVER: Cause.FIRST_COPY, Cause.RESUMED: Cause.FIRST_COPY}
    engine_harness.check(engine_harness.request(5, plan, seed=80, n=3, max_new_tokens=4), named=named)
    if engine_harness.can("SAMPLING"):
        request = engine_harness.request(5, plan, seed=81, n=3, max_new_tokens=8).drawn(2.0, 5)
        (response,) = engine_harness.check(request, named=named)
        if len({completion.tokens for completion in response.completions}) == 1:
            raise Violation("three completions of 8 drawn tokens are the same", likely=Diagnosis(Cause.SEED))


@pytest.mark.steering_requirement(id="stops-early", since="1.1", needs=("STOP",))
def test_stops_early(engine_harness: EngineHarness) -> None:
    """a request ends with its stop token, and those beside it go on as they were."""
    plan = engine_harness.plan()
    short = engine_harness.request(4, plan, seed=90, max_new_tokens=8)
    (response,) = engine_harness.check(short)
    tokens = response.completions[0].tokens
    stopping = replace(short, stop=(tokens[2],))
    beside = engine_harness.request(6, engine_harness.plan(seed=1), seed=91, max_new_tokens=9)
    stopped, _ = engine_harness.check(stopping, beside)
    end = tokens.index(tokens[2]) + 1
    if stopped.completions[0].tokens[:end] == tokens[:end] and len(stopped.completions[0].tokens) > end:
        raise Violation("it goes on behind the stop token", likely=Diagnosis(Cause.INCOMPLETE))


@pytest.mark.steering_requirement(id="draws-with-a-seed", since="1.1", needs=("SAMPLING",))
def test_draws_with_a_seed(engine_harness: EngineHarness) -> None:
    """drawn tokens come from the steered distribution, and the same seed draws the same ones in any company."""
    request = engine_harness.request(5, engine_harness.plan(), seed=100, max_new_tokens=24).drawn(0.5, 11)
    named = {Cause.NEVER: Cause.SAMPLING}
    (first,) = engine_harness.check(request, named=named)
    beside = engine_harness.request(3, None, seed=101, max_new_tokens=4).drawn(1.0, 12)
    _, again = engine_harness.check(beside, request, named=named)
    if first.completions[0].tokens != again.completions[0].tokens:
        raise Violation("the same request with the same seed draws other tokens", likely=Diagnosis(Cause.SEED))


@pytest.mark.steering_requirement(id="drafts-steered", since="1.1", needs=("SPECULATIVE",))
def test_drafts_steered(engine_harness: EngineHarness) -> None:
    """tokens that were tried several at once and kept are steered like those that came one by one."""
    once = engine_harness.expected.prompt(3, seed=110)
    for seed in range(3):
        request = Request(once * 3, engine_harness.plan(seed=seed, scale=4.0), max_new_tokens=12)
        named = {Cause.POSITIONS: Cause.DRAFTS, Cause.GIVES_UP: Cause.DRAFTS, Cause.BORDER: Cause.DRAFTS}
        engine_harness.check(request, where=f"prompt that repeats itself, seed {seed}", named=named)


@pytest.mark.parametrize("what", ["width", "layer", "nan"])
@pytest.mark.steering_requirement(id="plan-refused", since="1.1")
def test_plan_refused(engine_harness: EngineHarness, what: str) -> None:
    """a plan of another width, for a layer that cannot be steered, or with a NaN is refused, and it alone."""
    right = engine_harness.request(4, engine_harness.plan(), seed=120)
    for wrong in refused(engine_harness, what):
        try:
            engine_harness.engine.run([right, replace(right, plan=wrong)])
        except ValueError:
            pass
        except Exception as error:
            raise Violation(f"{one_line(error)} in place of a ValueError", where=what) from error
        else:
            raise Violation("the plan is not refused", where=what, likely=Diagnosis(Cause.IGNORED))
        engine_harness.check(right, where=f"after a refused plan ({what})")


@pytest.mark.steering_requirement(id="leaves-no-trace", since="1.1", core=True)
def test_leaves_no_trace(engine_harness: EngineHarness) -> None:
    """after steered requests an unsteered one says what it said before, and the random state is what it was."""
    request = engine_harness.request(5, seed=130)
    before = [bits(engine_harness.run(request)) for _ in range(2)]
    requests = [engine_harness.request(4 + seed, engine_harness.plan(seed=seed), seed=131 + seed) for seed in range(3)]
    own = torch.get_rng_state()
    try:
        state = torch.manual_seed(271828).get_state()  # nobody else's, or one that sets its own again is not seen
        engine_harness.check(*requests)
        touched = not torch.equal(state, torch.get_rng_state())
    finally:
        torch.set_rng_state(own)
    if touched:
        raise Violation("the random state of the process is another", likely=Diagnosis(Cause.RANDOM))
    (after,) = engine_harness.check(request, named={Cause.SLOT: Cause.STALE})
    if before[0] == before[1] and bits([after]) != before[0]:
        raise Violation("an unsteered request says something else than before", likely=Diagnosis(Cause.LEFT))


@pytest.mark.steering_requirement(id="plan-unchanged", since="1.1", core=True)
def test_plan_unchanged(engine_harness: EngineHarness) -> None:
    """the caller's vectors are bit-equal after a run."""
    plan = engine_harness.plan()
    before = {layer: vector.clone() for layer, vector in plan.vectors.items()}
    engine_harness.run(engine_harness.request(3, plan, seed=140))
    if any(not torch.equal(vector, before[layer]) for layer, vector in plan.vectors.items()):
        raise Violation("the caller's vector holds other numbers", likely=Diagnosis(Cause.VECTOR))


@pytest.mark.steering_requirement(id="two-engines", since="1.1")
def test_two_engines(engine_harness: EngineHarness) -> None:
    """two engines in one process each steer by their own plans, or the second says in a sentence that it cannot."""
    request = engine_harness.request(4, engine_harness.plan(), seed=150)
    try:
        other = engine_harness.start()
    except EngineError as error:
        if not str(error).strip():
            raise Violation("a second engine is refused without a sentence") from error
        engine_harness.check(request, where="after a second engine was refused")
        return
    second = EngineHarness(engine_harness.expected, other, engine_harness.start)
    second.measured_as(engine_harness)
    named = {Cause.NEVER: Cause.SHARED, Cause.SLOT: Cause.SHARED, Cause.STALE: Cause.SHARED}
    try:
        second.check(replace(request, plan=engine_harness.plan(seed=4)), where="second engine", named=named)
        engine_harness.check(request, where="first engine", named=named)
    finally:
        other.close()
    engine_harness.check(request, where="first engine, when the second was closed", named=named)


@pytest.mark.steering_requirement(id="engine-throughput", since="1.1")
def test_engine_throughput(engine_harness: EngineHarness, request: pytest.FixtureRequest) -> None:
    """steered requests take at most two and a half times as long as the same requests unsteered."""
    count = engine_harness.limits.slots
    plain = [engine_harness.request(4, seed=160 + number, max_new_tokens=12) for number in range(count)]
    steered = [replace(each, plan=engine_harness.plan(seed=number)) for number, each in enumerate(plain)]
    device = torch.device("cpu")
    figures = overhead(
        lambda: seconds_of(lambda: engine_harness.engine.run(steered), device),
        lambda: seconds_of(lambda: engine_harness.engine.run(plain), device),
        pairs=5,
        enough_seconds=0.5,
    )
    request.node.user_properties.append(("steering_overhead", json.dumps({"engine": figures.as_json()})))
    if figures.ratio > THROUGHPUT:
        raise Violation(
            f"{figures.ratio:.2f} times as long ({figures.steered_seconds:.3f} s in place of "
            f"{figures.unsteered_seconds:.3f} s); allowed {THROUGHPUT}",
            likely=Diagnosis(Cause.SLOW),
        )


@pytest.mark.steering_requirement(id="engine-memory", since="1.1")
def test_engine_memory(engine_harness: EngineHarness) -> None:
    """memory grows with nothing: neither with the number of requests nor with that of plans."""
    grown, what = growth(engine_harness)
    if grown:
        raise Violation(what, likely=Diagnosis(Cause.KEPT))
