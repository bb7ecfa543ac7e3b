"""The built-in ``compiled`` adapter steers inside the graphs of a compiled model, and no graph is made for a block."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor

from conformance.selftest.adapters.compiling import (
    FALLING,
    IDS,
    MASK,
    PLANS,
    RISING,
    WAYS,
    Graphs,
    MadeForEachBlock,
    ScaleInTheGraph,
    Unrolled,
    compile_as,
    wrong,
)
from pytest_steering import SteeringPlan, load_target
from pytest_steering.adapters.compiled import CompiledAdapter
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.oracle.model_state import changed, model_state
from pytest_steering.steering.plan import Positions
from pytest_steering.targets.target import Target

OTHERS = ["gpt2", "gpt_bigcode", "qwen2", "starcoder2"]


@pytest.fixture(autouse=True)
def _nothing_compiled_is_left() -> Iterator[None]:
    yield
    torch.compiler.reset()


@pytest.fixture
def target() -> Target:
    return load_target("tiny:llama")


@torch.no_grad()
def logits(call: Any) -> Tensor:
    found: Tensor = call(input_ids=IDS, attention_mask=MASK).logits
    return found


@torch.no_grad()
def generated(call: Any, **options: Any) -> Tensor:
    """The logits of every new token."""
    asked = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, "pad_token_id": 0} | options
    given = {"input_ids": IDS, "attention_mask": MASK}
    found = call.generate(**given, **asked, output_logits=True, return_dict_in_generate=True)
    return torch.stack(found.logits)


def hooks(target: Target, *plans: SteeringPlan) -> Any:
    """What the hooks adapter makes of the plans, in eager mode."""
    fresh = load_target(target.spec)
    with ExitStack() as stack:
        return logits([stack.enter_context(HooksAdapter(fresh.model, fresh.architecture).steer(p)) for p in plans][-1])


@pytest.fixture(autouse=True)
def _models_of_before_are_gone() -> None:
    """What their hooks ask of torch ends with them."""
    gc.collect()


def test_what_it_asks_of_torch_ends_with_the_last_model_that_has_its_hooks() -> None:
    before = torch._dynamo.config.skip_nnmodule_hook_guards
    targets = [load_target("tiny:llama") for _ in range(2)]
    for target in targets:
        CompiledAdapter(target.model, target.architecture)
        assert torch._dynamo.config.skip_nnmodule_hook_guards is False
    del target, targets[0]
    gc.collect()
    assert torch._dynamo.config.skip_nnmodule_hook_guards is False
    targets.clear()
    gc.collect()
    assert torch._dynamo.config.skip_nnmodule_hook_guards is before is True


@pytest.mark.parametrize("way", [WAYS[0], *(pytest.param(way, marks=pytest.mark.slow) for way in WAYS[1:])])
def test_what_a_plan_says_makes_no_graph(way: str) -> None:
    assert wrong(CompiledAdapter, way) == set()


@pytest.mark.slow
@pytest.mark.parametrize("kind", OTHERS)
def test_what_a_plan_says_makes_no_graph_on_other_models(kind: str) -> None:
    assert wrong(CompiledAdapter, WAYS[0], kind) == set()


OF_ROWS = (
    (SteeringPlan({1: RISING}, rows=(0,)), SteeringPlan({2: FALLING}, 2.0, Positions.LAST, rows=(1,))),
    (SteeringPlan({1: RISING, 3: FALLING}), SteeringPlan({1: FALLING}, -1.0, rows=(1,))),
    (SteeringPlan({0: FALLING}, rows=(1,)),),
    (SteeringPlan({0: FALLING}, rows=(0, 70)), SteeringPlan({1: FALLING}, 0.5, rows=(0,)), SteeringPlan({1: RISING})),
)
"""Plans that are open at once, each of rows of its own."""


@pytest.mark.parametrize(
    "way", [way if way == "each layer" else pytest.param(way, marks=pytest.mark.slow) for way in WAYS]
)
def test_each_row_of_a_batch_has_a_plan_of_its_own_in_one_graph(way: str, target: Target) -> None:
    """Rows make room for their plans once, and graphs with it; what is open then makes none."""
    graphs, adapter = Graphs(), CompiledAdapter(target.model, target.architecture)
    call = compile_as(way, target.model, target.architecture.layers, graphs)
    plain, made = logits(call), 0
    for number, plans in enumerate((*OF_ROWS, *OF_ROWS)):
        with ExitStack() as stack:
            for plan in plans:
                stack.enter_context(adapter.steer(plan))
            assert torch.allclose(logits(call), hooks(target, *plans), atol=1e-5)
        assert torch.equal(logits(call), plain)
        if number == len(OF_ROWS) - 1:
            made = graphs.made
    assert graphs.made == made


def test_more_plans_in_a_batch_than_there_is_room_for_make_room(target: Target) -> None:
    ids, graphs = torch.arange(2, 62).view(20, 3), Graphs()
    adapter, fresh = CompiledAdapter(target.model, target.architecture), load_target(target.spec)
    call = compile_as(WAYS[0], target.model, target.architecture.layers, graphs)
    beside = HooksAdapter(fresh.model, fresh.architecture)
    with torch.no_grad(), ExitStack() as stack:
        plans = [SteeringPlan({1: RISING}, float(row + 1), rows=(row,)) for row in range(20)]
        wanted = [stack.enter_context(beside.steer(plan)) for plan in plans][-1](input_ids=ids).logits
        for plan in plans:
            stack.enter_context(adapter.steer(plan))
        assert torch.allclose(call(input_ids=ids).logits, wanted, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"num_beams": 2}], ids=["greedy", "beams"])
def test_what_a_row_generates_is_steered_by_its_plan_in_the_graph(target: Target, options: dict[str, Any]) -> None:
    fresh, adapter = load_target(target.spec), CompiledAdapter(target.model, target.architecture)
    compile_as(WAYS[0], target.model, target.architecture.layers, Graphs())
    for plans in OF_ROWS[:3]:
        with ExitStack() as inside, ExitStack() as beside:
            found = generated([inside.enter_context(adapter.steer(plan)) for plan in plans][-1], **options)
            eager = HooksAdapter(fresh.model, fresh.architecture)
            wanted = generated([beside.enter_context(eager.steer(plan)) for plan in plans][-1], **options)
        assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("adapter", "sentence"),
    [
        (Unrolled, "nothing is steered"),
        pytest.param(MadeForEachBlock, "graphs are made", marks=pytest.mark.slow),
        pytest.param(ScaleInTheGraph, "graphs are made", marks=pytest.mark.slow),
    ],
)
def test_a_wrong_adapter_is_seen(adapter: Any, sentence: str) -> None:
    assert sentence in wrong(adapter, WAYS[0], plans=PLANS[:3])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"cache_implementation": "static"}], ids=["dynamic", "static"])
def test_generation_is_steered_in_the_graph(target: Target, options: dict[str, Any]) -> None:
    """Prompts that are padded, with each kind of positions, and no graph is made once generation has its own."""
    fresh, graphs = load_target(target.spec), Graphs()
    adapter = CompiledAdapter(target.model, target.architecture)
    compile_as(WAYS[0], target.model, target.architecture.layers, graphs)
    plain = [generated(target.model, **options) for _ in range(2)][-1]
    made = graphs.made
    for positions in Positions:
        plan = SteeringPlan({1: RISING, 2: FALLING}, 2.0, positions)
        with HooksAdapter(fresh.model, fresh.architecture).steer(plan) as eager:
            wanted = generated(eager, **options)
        with adapter.steer(plan) as steered:
            found = generated(steered, **options)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
        assert not torch.allclose(found, plain, atol=1e-3)
    assert torch.equal(generated(target.model, **options), plain)
    assert graphs.made == made


def test_blocks_of_a_compiled_model_are_left_in_any_order(target: Target) -> None:
    """Also those of several adapters that were made for one model, at other positions."""
    plans = [SteeringPlan({1: RISING}), SteeringPlan({1: FALLING}, 0.5, Positions.LAST)]
    both, last = hooks(target, *plans), hooks(target, plans[1])
    adapters = [CompiledAdapter(target.model, target.architecture) for _ in plans]
    target.model.compile(backend="eager", fullgraph=True)
    plain, stacks = logits(target.model), [ExitStack() for _ in plans]
    for stack, adapter, plan in zip(stacks, adapters, plans, strict=True):
        stack.enter_context(adapter.steer(plan))
    torch.testing.assert_close(logits(target.model), both, atol=1e-5, rtol=1e-5)
    stacks[0].close()
    torch.testing.assert_close(logits(target.model), last, atol=1e-5, rtol=1e-5)
    stacks[1].close()
    assert torch.equal(logits(target.model), plain)


def test_what_was_compiled_before_the_adapter_was_made_is_steered(target: Target) -> None:
    plan = SteeringPlan({1: RISING})
    wanted, call = hooks(target, plan), torch.compile(target.model, backend="eager")
    plain = logits(call)
    with CompiledAdapter(target.model, target.architecture).steer(plan):
        torch.testing.assert_close(logits(call), wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(logits(call), plain)


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False], ids=["the model", "its decoder"])
def test_the_graph_of_another_model_of_its_class_is_not_taken_for_its_own(target: Target, whole: bool) -> None:
    other, plan = load_target(target.spec), SteeringPlan({1: RISING})
    adapter, wanted = CompiledAdapter(target.model, target.architecture), hooks(target, plan)
    for each in (other, target):
        (each.model if whole else each.architecture.entry).compile(backend="eager")
    plain = logits(other.model)
    with adapter.steer(plan):
        torch.testing.assert_close(logits(target.model), wanted, atol=1e-5, rtol=1e-5)
        assert torch.equal(logits(other.model), plain)


def test_a_copy_is_not_steered(target: Target) -> None:
    adapter = CompiledAdapter(target.model, target.architecture)
    others = copy.deepcopy(target.model), pickle.loads(pickle.dumps(target.model))
    plain = logits(target.model)
    with adapter.steer(SteeringPlan({1: RISING})):
        for other in others:
            other.compile(backend="eager", fullgraph=True)
            assert torch.equal(logits(other), plain)


def test_a_vector_of_a_compiled_model_is_learnt(target: Target) -> None:
    vector = RISING.clone().requires_grad_()
    adapter = CompiledAdapter(target.model, target.architecture)
    target.model.compile(backend="eager")
    with adapter.steer(SteeringPlan({1: vector})) as steered:
        steered(input_ids=IDS).logits.sum().backward()
    assert vector.grad is not None
    assert vector.grad.abs().sum() > 0


@pytest.mark.slow
def test_a_model_whose_arguments_do_not_tell_where_a_pass_begins_is_steered() -> None:
    """It generates in eager mode, which is slower and no less right."""
    target, plan = load_target("tiny:mamba"), SteeringPlan({1: RISING}, 2.0, Positions.GENERATED)
    fresh = load_target("tiny:mamba")
    with HooksAdapter(fresh.model, fresh.architecture).steer(plan) as eager:
        wanted = generated(eager)
    adapter = CompiledAdapter(target.model, target.architecture)
    target.model.compile(backend="eager")
    with adapter.steer(plan) as steered:
        torch.testing.assert_close(generated(steered), wanted, atol=1e-5, rtol=1e-5)


def test_the_model_has_one_set_of_hooks_however_many_adapters_are_made(target: Target) -> None:
    CompiledAdapter(target.model, target.architecture)
    before = model_state(target.model)
    for _ in range(3):
        CompiledAdapter(target.model, target.architecture)
    assert changed(before, model_state(target.model)) == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_the_compiler_of_torch_makes_nothing_anew(target: Target, mode: str) -> None:
    """Without a GPU ``reduce-overhead`` is compiled like ``default``: its graphs are recorded on a GPU alone."""
    plans = [SteeringPlan({1: RISING}), SteeringPlan({2: FALLING}, -2.0, Positions.LAST)]
    wanted = [hooks(target, plan) for plan in plans]
    adapter = CompiledAdapter(target.model, target.architecture)
    target.model.compile(mode=mode, fullgraph=True)
    plain = logits(target.model).clone()
    with torch.compiler.set_stance("fail_on_recompile"):
        for plan, expected in zip(plans, wanted, strict=True):
            with adapter.steer(plan):
                torch.testing.assert_close(logits(target.model), expected, atol=1e-4, rtol=1e-4)
        assert torch.equal(logits(target.model), plain)
