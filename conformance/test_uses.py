"""Every use: what people do with a steered model, each by itself, every two together, and whole sessions."""

from __future__ import annotations

import json

import pytest

from pytest_steering.errors import Violation
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.keeping import freed, kept_by
from pytest_steering.plugin.options import settings_of
from pytest_steering.scenarios.covering import array, choices, pairs, pairs_in
from pytest_steering.scenarios.machine import worker
from pytest_steering.scenarios.nearest import check
from pytest_steering.scenarios.scenes import scenes
from pytest_steering.scenarios.space import Scenario
from pytest_steering.suite.deeper import deepened
from pytest_steering.suite.exploring import explore
from pytest_steering.suite.fuzzing import scenarios_for, sessions_for

MANY = 12
"""Layers with numbers of two digits, of which one begins like another."""


@pytest.mark.steering_requirement(id="arguments", core=True, since="1.1")
def test_arguments(harness: Harness) -> None:
    """the steered model takes what the model takes: arguments by position, labels, position ids, flags.

    And it returns what the model returns: the same fields, shapes and types.
    """
    check(harness, scenes("arguments", but="embeddings inputs"))


@pytest.mark.steering_requirement(id="embeddings", needs=("EMBEDDINGS",), since="1.1")
def test_embeddings(harness: Harness) -> None:
    """embeddings in place of token ids are steered like the tokens that they stand for."""
    check(harness, scenes("arguments", only="embeddings", run=("forward", "generate")))


@pytest.mark.steering_requirement(id="masks", since="1.1")
def test_masks(harness: Harness) -> None:
    """an attention mask of any form, or none at all, says the same of which tokens are real."""
    check(harness, [*scenes("mask", run=("forward", "generate")), *scenes("ids", run=("forward", "generate"))])


@pytest.mark.steering_requirement(id="padding-anywhere", needs=("BATCH", "PADDING"), since="1.1")
def test_padding_anywhere(harness: Harness) -> None:
    """padding is left alone wherever it stands: on both sides, between the tokens, in a row of nothing else."""
    padded = scenes("padding", run=("forward", "generate"), positions=("all", "last"))
    check(harness, [*padded, *scenes("padding", only="left right", run=("generate",), layers=("every",))])


@pytest.mark.steering_requirement(id="caller-cache", needs=("CALLER_CACHE",), since="1.1")
def test_caller_cache(harness: Harness) -> None:
    """a call that goes on from the caller's own cache is steered like any other, also where the cache was cut back."""
    check(harness, scenes("memory", run=("forward", "generate"), positions=("all", "last")))


@pytest.mark.steering_requirement(id="generation-options", needs=("GENERATE",), since="1.1")
def test_generation_options(harness: Harness) -> None:
    """every way to generate is steered, at every kind of positions, and every option reaches the model."""
    check(
        harness,
        [
            *scenes("run", but="forward", positions=("all", "last")),
            *scenes("decoding", run=("generate",), positions=("all", "last")),
            *scenes("options", but="long", run=("generate",)),
            *scenes("arguments", only="inputs", run=("generate",), positions=("all", "last")),
        ],
    )


@pytest.mark.steering_requirement(id="any-layers", needs=("MULTI_LAYER", "PER_LAYER_VECTORS"), since="1.1")
def test_any_layers(harness: Harness) -> None:
    """any number of layers is steered, neighbours or not, given in any order: those of the plan and no others."""
    check(harness, scenes("layers", run=("forward", "generate"), vectors=("ordinary", "shared")))


@pytest.mark.steering_requirement(id="many-layers", since="1.1")
def test_many_layers(harness: Harness) -> None:
    """of twelve layers or more, exactly those of the plan are steered: the second is told from the eleventh.

    A small model of another depth is built where the model under test has fewer layers and is a small one itself.
    """
    deep = harness
    if harness.architecture.num_layers < MANY:
        deep = deepened(harness, MANY)
    check(deep, [Scenario.of(layers=layers) for layers in ("second", "every", "backwards")])


@pytest.mark.steering_requirement(id="any-memory-layout", since="1.1")
def test_any_memory_layout(harness: Harness) -> None:
    """a vector steers however it lies in memory: a view, a stride, one number expanded, another dtype, shared."""
    check(harness, [*scenes("vectors"), *scenes("scale")])


@pytest.mark.steering_requirement(id="any-size", since="1.1")
def test_any_size(harness: Harness) -> None:
    """a batch of any number of rows and tokens is steered, also as many as the residual stream is wide."""
    check(
        harness,
        [
            *scenes("rows", positions=("all", "last")),
            *scenes("tokens", positions=("all", "last")),
            *scenes("tokens", only="1025", rows=("one",)),
            *scenes("tokens", only="width", rows=("width",)),
        ],
    )


@pytest.mark.steering_requirement(id="several-prompts", since="1.1")
def test_several_prompts(harness: Harness) -> None:
    """each prompt in a block is steered as the first one, whatever its shape and whatever came before it."""
    check(
        harness,
        [
            *scenes("block", only="twice again late", run=("forward", "generate"), padding=("none", "left")),
            *scenes("block", only="nearly rewritten"),
            *scenes("history", only="prompt generation", run=("forward", "generate")),
        ],
    )


@pytest.mark.steering_requirement(id="nested-blocks", needs=("NESTING",), since="1.1")
def test_nested_blocks(harness: Harness) -> None:
    """blocks inside blocks add up, at the same layers or at others, and are left in any order."""
    nested = "nested itself other-layers other-positions three crossed"
    check(harness, scenes("block", only=nested, run=("forward", "generate"), positions=("all", "prompt")))


@pytest.mark.steering_requirement(id="rows-of-a-plan", needs=("BATCH", "ROWS"), since="1.1")
def test_rows_of_a_plan(harness: Harness) -> None:
    """each row of a batch is steered by the plans that name it: a row has a plan of its own, or none.

    What a search makes of a row, and every copy that is returned of it, is steered as the row is.
    """
    rows = scenes("only", run=("forward", "generate", "uncached"), positions=("all", "last"))
    several = scenes("only", run=("generate",), decoding=("beams",))
    check(harness, [*rows, *several, *scenes("block", only="other-rows", run=("forward", "generate"))])


@pytest.mark.steering_requirement(id="every-ending", core=True, since="1.1")
def test_every_ending(harness: Harness) -> None:
    """however a block ends (an exception, Ctrl-C, a closed generator), nothing of it stays."""
    check(harness, [*scenes("ends", but="elsewhere"), *scenes("block", only="called-after")])


@pytest.mark.steering_requirement(id="after-an-error", since="1.1")
def test_after_an_error(harness: Harness) -> None:
    """a call that fails in the middle raises what it raised, and the next one is steered as if it had not been."""
    check(
        harness,
        scenes(
            "history",
            only="failed failed-generation refused",
            run=("forward", "generate"),
            positions=("all", "generated"),
        ),
    )


@pytest.mark.steering_requirement(id="training-mode", needs=("TRAINING",), since="1.1")
def test_training_mode(harness: Harness) -> None:
    """a model in training mode is steered, and draws the same dropout as without steering."""
    check(harness, scenes("state", only="training", run=("forward", "generate")))


@pytest.mark.steering_requirement(id="states", since="1.1")
def test_states(harness: Harness) -> None:
    """under autocast, in inference mode, with gradients or with the hooks of others, steering is the same.

    Gradients reach the vector and everything before the steered layer.
    """
    after = Scenario.of(made="anew", history="inference", state="gradients", padding="left")
    twice = Scenario.of(block="twice", state="gradients", vectors="differentiable")
    check(harness, [*scenes("state", but="training", vectors=("ordinary", "differentiable")), after, twice])


@pytest.mark.steering_requirement(id="threads", needs=("THREADS",), since="1.1")
def test_threads(harness: Harness) -> None:
    """calls from a thread of their own are steered, also while another model is steered in its own."""
    check(harness, [*scenes("thread", run=("forward", "generate")), *scenes("ends", only="elsewhere")])


@pytest.mark.steering_requirement(id="making-changes-nothing", since="1.1")
def test_making_changes_nothing(harness: Harness) -> None:
    """making the adapter changes nothing that is the caller's: modes, gradient flags, configs, settings, weights."""
    if harness.made:
        raise Violation(f"it changes {harness.made[0]}", likely=Diagnosis(Cause.MADE, str(harness.made[0])))
    check(harness, scenes("made"))


@pytest.mark.steering_requirement(id="changed-inside", since="1.1")
def test_changed_inside(harness: Harness) -> None:
    """what the caller changes of the model inside a block is steered with, and is still so after the block.

    A model is trained under steering, hooks of others come and go, and a config is the caller's to write to.
    """
    inside = "matrices-inside trains-inside flags-inside hooked-inside config-inside"
    check(harness, scenes("history", only=inside, block=("one", "twice")))


@pytest.mark.steering_requirement(id="nothing-is-kept", since="1.1")
def test_nothing_is_kept(harness: Harness) -> None:
    """when a block is over none of its activations is alive, and a model that nobody uses any more is freed."""
    plan = harness.plans.plan(harness.plans.layers("middle")[:1])
    plain, steered = kept_by(harness, None), kept_by(harness, plan)
    if plain:
        not_applicable("the unsteered model itself keeps what its layers emit")
    if steered:
        raise Violation(f"{steered} of the activations of a block are alive after it", likely=Diagnosis(Cause.KEPT))
    if not freed(harness, None):
        not_applicable("a copy of the unsteered model itself is never freed")
    if not freed(harness, plan):
        raise Violation(
            "a copy of the model that was steered is alive after everything that used it is gone",
            likely=Diagnosis(Cause.KEPT),
        )


@pytest.mark.steering_requirement(id="many-passes", since="1.1")
def test_many_passes(harness: Harness) -> None:
    """the hundredth pass is steered like the first, in one block or in many, and so is the seventieth new token."""
    check(harness, [*scenes("history", only="passes blocks"), *scenes("options", only="long", run=("generate",))])


@pytest.mark.steering_requirement(id="all-pairs", since="1.1")
def test_all_pairs(harness: Harness, request: pytest.FixtureRequest) -> None:
    """every two uses go together, and every three of those that interact most.

    The report tells how many there are, and how many were judged: of a large model the scenarios with the most pairs.
    """
    values = choices(harness.can)
    most = scenarios_for(harness.model)
    scenarios = array(values, most)
    judged = check(harness, scenarios, all_of_them=True)
    covered = {
        "dimensions": len(values),
        "values": sum(map(len, values.values())),
        "pairs": pairs(values),
        "pairs_covered": pairs_in(judged, values),
        "scenarios": len(scenarios),
        "judged": len(judged),
    }
    if len(scenarios) == most:
        harness.target.notes.append(f"{covered['pairs_covered']} of {covered['pairs']} pairs of uses were judged")
    request.node.user_properties.append(("steering_space", json.dumps(covered)))


@pytest.mark.steering_requirement(id="any-session", since="1.1")
def test_any_session(harness: Harness, request: pytest.FixtureRequest) -> None:
    """whatever somebody does, step by step, every step is steered by what is open then and by nothing else.

    ``--steering-fuzz=MINUTES`` goes on for as long, with other sessions each time; what fails is kept and tried first.
    """
    minutes = settings_of(request.config).fuzz
    explore(request.config, worker(harness), examples=sessions_for(harness.model), minutes=minutes)
