"""Steering in generation: every pass, with and without a cache, however the tokens are chosen."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor

from pytest_steering.architecture.observation import Pass
from pytest_steering.architecture.residual import same_bits
from pytest_steering.errors import Violation, one_line
from pytest_steering.oracle import checks, comparison
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.diagnosis.tokens import likely_beams
from pytest_steering.oracle.forcing import forced
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.reference import deltas_of
from pytest_steering.steering.plan import Positions, SteeringPlan
from pytest_steering.suite.near_ties import as_likely, drawn, drawn_alike, forgets_candidates, tied

MANY = 24
"""New tokens of the one generation that goes on for longer."""


@pytest.mark.parametrize("batch", ["equal", "left-padded"])
@pytest.mark.steering_requirement(id="every-pass", core=True, needs=("GENERATE",))
def test_every_pass(harness: Harness, batch: str) -> None:
    """every pass of generate is steered: the prompt's and each generated token's."""
    if batch == "left-padded":
        harness.need("BATCH", "PADDING")
    if batch == "equal":
        checks.passes(harness, _middle(harness), harness.prompts.batch(), **_many(harness))
    else:
        checks.passes(harness, _middle(harness), harness.prompts.padded("left", numbered=False))


@pytest.mark.steering_requirement(id="cache-equals-no-cache", needs=("GENERATE", "CACHE"))
def test_cache_equals_no_cache(harness: Harness) -> None:
    """generation is steered at the same tokens, to the same tokens, with a KV cache and without."""
    inputs, plan = harness.prompts.batch(), _middle(harness)
    _possible(harness, inputs, use_cache=False)
    cached = checks.passes(harness, plan, inputs, use_cache=True)
    uncached = checks.passes(harness, plan, inputs, use_cache=False)
    _need_one_answer(harness, inputs, {"use_cache": False})
    if not torch.equal(cached, uncached) and not tied(harness, plan, inputs, cached, uncached):
        _need_other_answers(harness, plan, inputs, cached, uncached)
        comparison.same_tokens(uncached, cached, "the tokens without a cache", where=checks.named(plan))


@pytest.mark.parametrize("positions", [Positions.ALL, Positions.PROMPT, Positions.GENERATED])
@pytest.mark.steering_requirement(id="single-token-prompt", needs=("GENERATE",))
def test_single_token_prompt(harness: Harness, positions: Positions) -> None:
    """a prompt of one token is a prompt: it is steered as one, and so is each token after it.

    A pass of one token is not always a decode pass.
    """
    harness.need_positions(positions)
    inputs = harness.prompts.batch(tokens=1)
    _need_fresh_start(harness, inputs)
    checks.passes(harness, _middle(harness, positions), inputs)


@pytest.mark.parametrize("positions", [Positions.ALL, Positions.LAST, Positions.PROMPT])
@pytest.mark.steering_requirement(id="chunked-prefill", needs=("GENERATE", "CACHE"))
def test_chunked_prefill(harness: Harness, positions: Positions) -> None:
    """a prompt that is fed in chunks is steered at the same tokens as one that is fed at once."""
    harness.need_positions(positions)
    inputs = harness.prompts.batch()
    columns = harness.prompts.ids(inputs).shape[1]
    options = {"prefill_chunk_size": columns - 1}
    _need_first_chunk_seen(harness, _possible(harness, inputs, **options), inputs, **options)
    checks.passes(harness, _middle(harness, positions), inputs, **options)


@pytest.mark.steering_requirement(id="beams", needs=("GENERATE", "BEAMS"))
def test_beams(harness: Harness) -> None:
    """beam search is steered in every beam of every row: it finds the sequences that the reference implementation
    finds.
    """
    inputs = harness.prompts.batch()
    _possible(harness, inputs, num_beams=3)
    plan = _middle(harness)
    found, wanted = (
        generate(plan, inputs, num_beams=3) for generate in (harness.generated, harness.generated_expected)
    )
    layer = min(plan.vectors)
    exact = True
    for number, (step, other) in enumerate(zip(found.passes, wanted.passes, strict=False)):
        if not _same_fed(step, other):
            break  # another beam was kept: right only if it is as likely within rounding
        try:
            comparison.close(
                step.received[layer],
                other.received[layer],
                f"the residual stream of pass {number}, beside that of the reference implementation",
                where=f"{checks.named(plan)}, 3 beams",
            )
        except Violation as violation:
            if number > 1 and not exact:
                break  # rounding may have kept a beam that has the same last token and other ones before it
            rows, delta = len(harness.prompts.ids(inputs)), deltas_of(plan)[layer]
            violation.likely = likely_beams(step.received[layer], other.received[layer], delta, rows)
            raise
        exact = exact and same_bits(step.received[layer], other.received[layer])
    if not torch.equal(found.result, wanted.result) and not as_likely(
        harness, plan, inputs, found.result, wanted.result
    ):
        comparison.same_tokens(found.result, wanted.result, "the best beams", where=f"{checks.named(plan)}, 3 beams")


def _same_fed(one: Pass, other: Pass) -> bool:
    return one.fed is not None and other.fed is not None and torch.equal(one.fed, other.fed)


@pytest.mark.steering_requirement(id="seeded-sampling", needs=("GENERATE",))
def test_seeded_sampling(harness: Harness) -> None:
    """sampling with a seed draws the tokens that the reference implementation draws with that seed.

    Where rounding moves a draw, it is judged by the scores that it was drawn from.
    """
    inputs, plan = harness.prompts.batch(), _middle(harness)
    options = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}

    wanted = drawn(lambda: harness.generated_expected(plan, inputs, **options).result)
    found = drawn(lambda: harness.generated(plan, inputs, **options).result)
    try:
        comparison.same_tokens(found, wanted, "the sampled tokens", where=checks.named(plan))
    except Violation as violation:
        if drawn_alike(harness, plan, inputs, found, options):
            return
        if torch.equal(found, drawn(lambda: harness.unsteered.generate(inputs, **options))):
            violation.likely = Diagnosis(Cause.SAMPLING, "it draws what the unsteered model draws")
        raise


@pytest.mark.parametrize("positions", [Positions.ALL, Positions.GENERATED])
@pytest.mark.steering_requirement(id="assisted", needs=("GENERATE", "ASSISTED"))
def test_assisted(harness: Harness, positions: Positions) -> None:
    """assisted decoding is steered at every token of a pass that checks several candidates.

    Prompt lookup puts candidates behind the prompt in the first pass: a pass may hold prompt and generated tokens.
    """
    harness.need_positions(positions)
    inputs = harness.prompts.repetitive()
    options = {"prompt_lookup_num_tokens": 3, **_some_end(harness)}
    _possible(harness, inputs, **options)
    ids = harness.prompts.ids(inputs)
    # The prompt's pattern goes on, so that every candidate is right and passes of several tokens are computed.
    _possible(harness, inputs, logits_processor=forced(torch.cat((ids, ids), dim=1)), **options)
    plan = _middle(harness, positions)
    try:
        assisted = checks.passes(harness, plan, inputs, **options)
    except RuntimeError:
        # The tokens are others than the unsteered model's: the reference implementation steers it to them too.
        _possible_steered(harness, plan, inputs, **options)
        raise
    plain = checks.passes(harness, plan, inputs)
    _need_one_answer(harness, inputs, options)
    _need_one_answer(harness, harness.prompts.batch(), {"use_cache": False})
    if torch.equal(assisted, plain):
        return
    _need_candidates_forgotten(harness, inputs, assisted, plain, options)
    if not tied(harness, plan, inputs, plain, assisted):
        comparison.same_tokens(assisted, plain, "the assisted tokens", where=checks.named(plan))


def _need_candidates_forgotten(
    harness: Harness, inputs: dict[str, Tensor], assisted: Tensor, plain: Tensor, options: dict[str, Any]
) -> None:
    """The unsteered model goes on after a wrong candidate as if it had not seen it, and ends where it is asked to."""
    columns = plain.shape[1]
    if assisted.shape[1] > columns and torch.equal(assisted[:, :columns], plain):
        not_applicable(
            f"the model's own assisted decoding goes on to token {assisted.shape[1]}, past the {columns} asked"
        )
    if not forgets_candidates(harness, inputs, plain, **options):
        not_applicable("the unsteered model computes otherwise after candidates that were thrown away")


def _some_end(harness: Harness) -> dict[str, int]:
    """An end that no token is, where the model has none: transformers 4 looks for it without asking whether it is."""
    settings = getattr(harness.model, "generation_config", None)
    return {"eos_token_id": harness.target.vocab_size} if getattr(settings, "eos_token_id", 0) is None else {}


def _middle(harness: Harness, positions: Positions = Positions.ALL) -> SteeringPlan:
    return harness.plans.plan(harness.plans.layers("middle")[:1], positions=positions)


def _many(harness: Harness) -> dict[str, int]:
    """More new tokens than elsewhere, where memory allows and the unsteered model can."""
    if not harness.workload.note:
        options = {"max_new_tokens": MANY, "min_new_tokens": MANY}
        with suppress(Exception):
            harness.unsteered.generate(harness.prompts.batch(), **options)
            return options
    return {}


def _possible_steered(harness: Harness, plan: SteeringPlan, inputs: dict[str, Tensor], **options: Any) -> None:
    """The model can do it, steered by the reference implementation, or the requirement is not applicable."""
    try:
        harness.generated_expected(plan, inputs, **options)
    except Exception as error:
        not_applicable(f"the model itself cannot, on the steered tokens: {one_line(error)[:120]}")


def _need_one_answer(harness: Harness, inputs: dict[str, Tensor], *others: dict[str, Any]) -> None:
    """The unsteered model generates the same tokens under other options, or a steered one cannot be asked to."""
    plain = harness.unsteered.generate(inputs)
    for options in others:
        if not torch.equal(harness.unsteered.generate(inputs, **options), plain):
            said = ", ".join(f"{name}={value}" for name, value in options.items())
            not_applicable(f"the unsteered model itself generates other tokens with {said}")


def _need_other_answers(
    harness: Harness, plan: SteeringPlan, inputs: dict[str, Tensor], cached: Tensor, uncached: Tensor
) -> None:
    """The reference implementation's tokens are not these very ones: if they are, the model itself differs without a
    cache.
    """
    own = [harness.generated_expected(plan, inputs, use_cache=use_cache).result for use_cache in (True, False)]
    if torch.equal(own[0], cached) and torch.equal(own[1], uncached):
        not_applicable("the model itself, on the steered tokens, generates others without a cache")


def _need_fresh_start(harness: Harness, inputs: dict[str, Tensor]) -> None:
    """What the unsteered model generated before makes no difference, as it does where a prompt of one token is taken
    for the next token of the last prompt."""
    sequences = _possible(harness, inputs)
    layer = harness.plans.layers("middle")[0]
    runs = []
    for seed in (1, 2):
        harness.unsteered.generate(harness.prompts.batch(tokens=1, seed=seed))
        runs.append(harness.unsteered.replay(sequences, inputs, [layer]).received(layer))
    if not same_bits(*runs):
        not_applicable("the unsteered model itself goes on from what it generated before")


def _need_first_chunk_seen(
    harness: Harness, sequences: Tensor, inputs: dict[str, Tensor], *, prefill_chunk_size: int
) -> None:
    """Hooks on the unsteered model see the first chunk, as they do not where it calls its own ``forward`` for it."""
    seen = harness.unsteered.replay(sequences, inputs, (), prefill_chunk_size=prefill_chunk_size).passes
    if not seen or seen[0].start >= prefill_chunk_size:
        not_applicable("the unsteered model calls its own forward for chunks, so that hooks on it do not see them")


def _possible(harness: Harness, inputs: dict[str, Tensor], **options: Any) -> Tensor:
    """What the unsteered model generates, or the requirement is not applicable with the model's own reason."""
    try:
        return harness.unsteered.generate(inputs, **options)
    except Exception as error:
        not_applicable(f"the unsteered model cannot: {' '.join(str(error).split())[:120]}")
