"""What steering does to the model: all of it inside the block, none of it afterwards."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch

from pytest_steering.architecture.compiled import eager
from pytest_steering.architecture.modes import training
from pytest_steering.architecture.residual import logits_of, same_bits
from pytest_steering.architecture.tracing import hooked
from pytest_steering.errors import SteeringError, Violation, one_line
from pytest_steering.oracle import checks, comparison, tolerance
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.generation_settings import own_settings
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.loaded import Loaded
from pytest_steering.oracle.model_state import likely_leftover, model_state
from pytest_steering.oracle.own_changes import without
from pytest_steering.oracle.process_settings import process_settings, put_back
from pytest_steering.oracle.reference import deltas_of, reference
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.suite.fresh_process import FreshRun, reported


@pytest.mark.steering_requirement(id="clean-after-exit", core=True)
def test_clean_after_exit(harness: Harness) -> None:
    """after the block the model computes bit-equal to before, and generates the same tokens."""
    inputs, plan = harness.prompts.batch(), harness.plans.plan(harness.architecture.steering_layers, 4.0)
    before = harness.unsteered.run_again(inputs).result
    can_generate = harness.can("GENERATE")
    tokens = harness.unsteered.generate(inputs) if can_generate else None
    harness.steered(plan, inputs)
    if can_generate:
        harness.generated(plan, inputs)
    comparison.identical(
        harness.unsteered.run_again(inputs).result,
        before,
        "the unsteered logits after the block",
        where=checks.named(plan),
        likely=Diagnosis(Cause.LEFT, "a hook or a changed parameter"),
    )
    if tokens is not None:
        comparison.same_tokens(harness.unsteered.generate(inputs), tokens, "the unsteered tokens after the block")


@pytest.mark.steering_requirement(id="clean-after-exception", core=True)
def test_clean_after_exception(harness: Harness) -> None:
    """an exception inside the block leaves the block, and the model computes bit-equal to before."""
    inputs, plan = harness.prompts.batch(), harness.plans.plan(harness.architecture.steering_layers, 4.0)
    before = harness.unsteered.run_again(inputs).result
    mine = RuntimeError("raised inside the block")
    try:
        with harness.steering(plan) as steered, harness.running():
            steered(**inputs)
            raise mine
    except RuntimeError as error:
        if error is not mine:
            became = f"{type(error).__name__}: {error}"
            raise Violation(f"the exception becomes {became}", where=checks.named(plan)) from error
    else:
        raise Violation("the exception is swallowed", where=checks.named(plan), likely=Diagnosis(Cause.SWALLOWED))
    comparison.identical(
        harness.unsteered.run_again(inputs).result,
        before,
        "the unsteered logits after the exception",
        where=checks.named(plan),
        likely=Diagnosis(Cause.NOT_FINALLY),
    )


@pytest.mark.steering_requirement(id="re-entry", core=True)
def test_re_entry(harness: Harness) -> None:
    """the adapter steers again after a block, with the same plan and with another, as if for the first time."""
    inputs = harness.prompts.batch()
    layer = harness.plans.layers("middle")[0]
    for plan in (
        harness.plans.plan([layer]),
        harness.plans.plan([layer]),
        harness.plans.plan([layer], -0.5, seed=1),
        harness.plans.plan([layer]),
    ):
        checks.forward(harness, plan, inputs)
    with harness.steering(harness.plans.plan([layer])) as steered, harness.running():
        first, second = (logits_of(steered(**inputs)) for _ in range(2))
    plain = harness.unsteered.run(inputs).result
    comparison.close(
        second,
        first,
        "the logits of the second call inside one block",
        where=f"layer {layer}",
        likely=Diagnosis(Cause.USE, "only the first call inside a block is steered")
        if torch.equal(second, plain)
        else None,
        dtype=harness.dtype_of(first),
    )


@pytest.mark.steering_requirement(id="nesting", needs=("NESTING",))
def test_nesting(harness: Harness) -> None:
    """a block inside a block adds its vector, and afterwards the outer one steers alone."""
    inputs = harness.prompts.batch()
    layer = harness.plans.layers("middle")[0]
    outer, inner = harness.plans.plan([layer]), harness.plans.plan([layer], 0.5, seed=1)
    deltas = {layer: deltas_of(outer)[layer] + deltas_of(inner)[layer]}
    with harness.running():
        with reference(harness.architecture, deltas):
            both = logits_of(harness.model(**inputs))
        alone = harness.expected(outer, inputs).result
        with harness.steering(outer) as outside:
            before = logits_of(outside(**inputs))
            with harness.steering(inner) as inside:
                found = logits_of(inside(**inputs))
            after = logits_of(outside(**inputs))
    where, dtype = f"layer {layer}", harness.dtype_of(both)
    lone = tolerance.furthest(found, harness.expected(inner, inputs).result)
    likely = (
        Diagnosis(Cause.USE, "an inner block takes the place of the outer one")
        if lone <= tolerance.rounding(found, dtype=dtype)
        else None
    )
    comparison.close(found, both, "the logits inside both blocks", where=where, likely=likely, dtype=dtype)
    comparison.close(before, alone, "the logits inside the outer block", where=where, dtype=dtype)
    comparison.identical(after, before, "the logits after the inner block", where=where)


@pytest.mark.steering_requirement(id="two-models")
def test_two_models(harness: Harness, loaded: Loaded) -> None:
    """two models are steered at once, each by its own plan, and one that is not steered stays as it is."""
    other = _copied(harness, loaded)
    inputs, layer = harness.prompts.batch(), harness.plans.layers("middle")[0]
    plans = harness.plans.plan([layer]), harness.plans.plan([layer], -2.0, seed=1)
    plain = harness.unsteered.run(inputs).result
    with harness.running(), harness.steering(plans[0]):
        comparison.identical(
            logits_of(other.model(**inputs)),
            plain,
            "the logits of the model that is not steered",
            where=checks.named(plans[0]),
            likely=Diagnosis(Cause.SHARED, "on the class or in a global"),
        )
    alone = [harness.steered(plan, inputs).result for plan in plans]
    with harness.steering(plans[0]) as one, other.steering(plans[1]) as two, harness.running():
        together = logits_of(one(**inputs)), logits_of(two(**inputs))
    for number, (found, wanted) in enumerate(zip(together, alone, strict=True)):
        mixed, dtype = harness.expected(plans[1 - number], inputs).result, harness.dtype_of(wanted)
        comparison.close(
            found,
            wanted,
            f"the logits of model {number} while both are steered",
            where=f"layer {layer}",
            likely=(
                Diagnosis(Cause.SHARED, f"model {number} is steered by the other's plan")
                if tolerance.furthest(found, mixed) <= tolerance.rounding(mixed, dtype=dtype)
                else None
            ),
            dtype=dtype,
        )


def _copied(harness: Harness, loaded: Loaded) -> Harness:
    try:
        return harness.twin(harness.target.copied())
    except Exception as error:
        reason = loaded.cannot_copy()
        if reason:
            not_applicable(reason)
        raise Violation(
            f"a copy of the model cannot be steered: {one_line(error, kind=not isinstance(error, SteeringError))}",
            likely=Diagnosis(Cause.COPY),
        ) from error


@pytest.mark.steering_requirement(id="model-left-alone", core=True)
def test_model_left_alone(harness: Harness) -> None:
    """after the block the model's mode, config, hooks, parameters, buffers and attributes are what they were."""
    inputs, plan = harness.prompts.batch(), harness.plans.plan(harness.architecture.steering_layers)
    own = harness.unsteered.changes
    layers = (harness.architecture.layers[layer] for layer in plan.vectors)
    mode = training(harness.model) if harness.unsteered.trains else contextlib.nullcontext()
    # The mode is not an adapter's to switch, and somebody else's hooks are none to remove.
    with mode, hooked(*(layer.register_forward_hook(_nothing) for layer in layers)):
        before = without(model_state(harness.model), own)
        with contextlib.suppress(RuntimeError), harness.steering(plan) as steered, harness.running():
            steered(**inputs)
            if harness.can("GENERATE"):
                with own_settings(harness.model):
                    pad = harness.target.pad_token_id
                    steered.generate(**inputs, max_new_tokens=2, do_sample=False, pad_token_id=pad)
            raise RuntimeError
        after = without(model_state(harness.model), own)
    for what, value in before.items():
        if not _same(after.get(what), value):
            raise Violation(
                f"{what} of the model changes",
                where=checks.named(plan),
                likely=likely_leftover(what, value, after.get(what)),
            )
    new = sorted(after.keys() - before.keys())
    if new:
        raise Violation(
            f"the model has {new[0]} that it did not have before",
            where=checks.named(plan),
            likely=likely_leftover(new[0], None, after[new[0]]),
        )


@pytest.mark.steering_requirement(id="settings-untouched", core=True)
def test_settings_untouched(harness: Harness) -> None:
    """after the block, also one that an exception ends, the settings of the process are what they were.

    Gradient mode, default dtype, threads, determinism, verbosity and environment belong to the caller.
    """
    inputs, plan = harness.prompts.batch(), harness.plans.plan(harness.plans.layers("middle")[:1])
    for ends in ("", " that an exception ends"):
        before = process_settings()
        try:
            with contextlib.suppress(_Thrown), harness.steering(plan) as steered:
                with harness.running():
                    steered(**inputs)
                if ends:
                    raise _Thrown
            after = process_settings()
        finally:
            put_back(before)
        for name, value in before.items():
            if after[name] != value:
                raise Violation(
                    f"{name} changes",
                    where=f"{checks.named(plan)}, after a block{ends}",
                    likely=Diagnosis(Cause.SETTING, f"{name}"),
                )


@pytest.mark.steering_requirement(id="first-use-leaves-nothing", since="1.1")
def test_first_use_in_fresh_process(harness: Harness, fresh_run: FreshRun | str) -> None:
    """the first block of a process leaves its settings, and the classes of the model, as they were.

    What is done once for a process shows in no later block.
    """
    left = reported(fresh_run).left
    if left:
        raise Violation(
            f"{left[0]} is another after the first block of a fresh process", likely=Diagnosis(Cause.SETTING, left[0])
        )


class _Thrown(Exception):
    """What ends a block early."""


@pytest.mark.steering_requirement(id="caller-inputs-unchanged", core=True)
def test_caller_inputs_unchanged(harness: Harness) -> None:
    """the caller's token ids and attention mask are bit-equal after a steered call, and so is generation's input."""
    plan = harness.plans.plan(harness.plans.layers("middle")[:1])
    padded = harness.can("PADDING") and harness.can("BATCH")
    inputs = harness.prompts.padded("left", numbered=False) if padded else harness.prompts.batch()
    given = {name: tensor.clone() for name, tensor in inputs.items()}
    harness.steered(plan, inputs)
    if harness.can("GENERATE"):
        harness.generated(plan, inputs)
    if inputs.keys() != given.keys():
        raise Violation(f"the caller's inputs are {sorted(inputs)} afterwards, {sorted(given)} before")
    for name, tensor in given.items():
        comparison.identical(
            inputs[name],
            tensor,
            f"the caller's {name}",
            where=checks.named(plan),
            likely=Diagnosis(Cause.INPUTS, f"{name}"),
        )


@pytest.mark.steering_requirement(id="steers-after-compile", needs=("COMPILE",))
def test_steers_after_compile(harness: Harness) -> None:
    """a model that was compiled and has run before is steered like any other, and is clean afterwards."""
    inputs, layer = harness.prompts.batch(), harness.plans.layers("middle")[0]
    plan = harness.plans.plan([layer])
    expected = harness.expected(plan, inputs).result
    harness.model.compile(backend="eager", dynamic=False)
    try:
        with torch.no_grad():  # what is compiled runs compiled
            before = _compiled(harness, inputs)
            with harness.steering(plan) as steered:
                found = logits_of(steered(**inputs))
            after = logits_of(harness.model(**inputs))
    finally:
        # torch offers no way to undo Module.compile.
        harness.model._compiled_call_impl = None
        torch.compiler.reset()
    likely = (
        Diagnosis(Cause.USE, "what is added after the first compiled call is not seen")
        if same_bits(found, before)
        else None
    )
    where, dtype = checks.named(plan), harness.dtype_of(expected)
    comparison.close(found, expected, "the logits of the compiled model", where=where, likely=likely, dtype=dtype)
    comparison.identical(after, before, "the unsteered logits after the block", where=checks.named(plan))


def _compiled(harness: Harness, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """The unsteered logits of the compiled model; not applicable when it cannot be compiled at all."""
    try:
        return logits_of(harness.model(**inputs))
    except Exception as error:
        not_applicable(f"the unsteered model cannot be compiled: {' '.join(str(error).split())[:120]}")


@pytest.mark.steering_requirement(id="steers-in-inference-mode", core=True)
def test_steers_in_inference_mode(harness: Harness) -> None:
    """under torch.inference_mode the model is steered to bit-equal logits."""
    inputs, plan = harness.prompts.batch(), harness.plans.plan(harness.plans.layers("middle")[:1])
    wanted = harness.steered(plan, inputs).result
    with torch.inference_mode(), harness.steering(plan) as steered, harness.running():
        found = logits_of(steered(**inputs))
    with torch.inference_mode(), harness.running():
        plain = logits_of(harness.model(**inputs)).clone()
    likely = Diagnosis(Cause.USE, "nothing is steered in inference mode") if same_bits(plain, found) else None
    where, dtype = checks.named(plan), harness.dtype_of(wanted)
    comparison.close(found.clone(), wanted, "the logits in inference mode", where=where, likely=likely, dtype=dtype)
    if likely:
        raise Violation("inference mode is not steered", where=checks.named(plan), likely=likely)


@pytest.mark.steering_requirement(id="gradients-flow", needs=("GRADIENTS",))
def test_gradients_flow(harness: Harness) -> None:
    """the gradient of the logits with respect to the steering vector is the one that the reference implementation
    gives.
    """
    inputs, layer = harness.prompts.batch(), harness.plans.layers("middle")[0]

    def gradient(run: Any) -> torch.Tensor:
        vector = harness.plans.vector(layer).requires_grad_()
        loss = run(SteeringPlan({layer: vector}, 0.5)).float().square().mean()
        (found,) = torch.autograd.grad(loss, [vector], allow_unused=True)
        return torch.zeros_like(vector) if found is None else found

    def adapted(plan: SteeringPlan) -> torch.Tensor:
        with harness.steering(plan) as steered:
            return logits_of(steered(**inputs))

    def by_reference(plan: SteeringPlan) -> torch.Tensor:
        with reference(harness.architecture, deltas_of(plan)):
            return logits_of(harness.model(**inputs))

    with eager(harness.model), torch.enable_grad():
        try:
            wanted = gradient(by_reference)
        except RuntimeError as error:
            not_applicable(f"the model's own code has no gradient: {' '.join(str(error).split())[:120]}")
        found = gradient(adapted)
    comparison.close(
        found,
        wanted,
        "the gradient of the loss with respect to the vector",
        where=f"layer {layer}",
        likely=Diagnosis(Cause.DETACHED) if not bool(found.any()) else None,
        dtype=harness.architecture.decoder_layers[layer].dtype,
    )


def _nothing(_module: torch.nn.Module, _args: Any, _output: Any) -> None:
    """A hook that changes nothing."""


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one is other or same_bits(one, other)
    return bool(one == other)
