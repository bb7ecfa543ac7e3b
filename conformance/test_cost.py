"""What steering costs, counted: operations, readings by the host, memory, Python calls, beyond the unsteered model's.

Every figure is in the report, also where the requirement is met.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pytest_steering.adapters.protocol import frugal
from pytest_steering.errors import Violation, one_line
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.costs import Costs, Idle, Use, forward
from pytest_steering.oracle.counting import Counts
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.harness import Harness

CALLS_TO_LOOK = 12
"""Python calls that a module may take to look whether there is anything to do: hooks and wrappers of its own."""
BYTES_OF_MASK = 64
"""Bytes for each token of a pass that its mask may take."""

Record = Callable[..., None]


@pytest.fixture(scope="module")
def costs(harness: Harness) -> Costs:
    """The counts of this model under this adapter, each made once."""
    return Costs(harness)


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Record:
    """Writes figures into the report."""

    def record(**figures: int) -> None:
        request.node.user_properties.append(("steering_measured", json.dumps(figures)))

    return record


@contextmanager
def comparable(costs: Costs, *, promised: bool = False) -> Iterator[None]:
    """What fails inside is the adapter's, where the unsteered model costs the same each time.

    What an adapter has to have ``promised`` is not applicable to one that does not say that it is frugal: it is right.
    """
    try:
        yield
    except Violation as violation:
        costs.need_repeatable()
        adapter = costs.harness.adapter
        if promised and not frugal(adapter):
            not_applicable(f"{adapter.name} does not say that it is frugal: {one_line(violation.detail)}")
        raise


@pytest.mark.steering_requirement(id="nothing-read-back", needs=("GENERATE",), since="1.1")
def test_nothing_read_back(costs: Costs, measured: Record) -> None:
    """a steered decode step reads nothing back to the host that an unsteered one does not, and a prompt's pass at most
    one tensor.

    Each reading makes the host wait for all that a GPU has to do. One look at the attention mask, for each prompt,
    tells whether there is padding at all.
    """
    with comparable(costs):
        steps = {use: max(step.synchronisations for step in costs.steps(use)) for use in costs.uses()}
        prompt = costs.prompt().synchronisations
        measured(decode_synchronisations=max(steps.values()), prompt_synchronisations=prompt)
        for use, found in steps.items():
            if found > 0:
                raise Violation(
                    f"{found} more tensors are read back in each decode step; allowed 0",
                    where=str(use),
                    likely=Diagnosis(Cause.READS_BACK),
                )
        if prompt > 1:
            raise Violation(
                f"{prompt} more tensors are read back in a prompt's pass; allowed 1",
                where=str(Use()),
                likely=Diagnosis(Cause.READS_BACK),
            )


@pytest.mark.steering_requirement(id="prepared-once", needs=("GENERATE",), since="1.1")
def test_prepared_once(costs: Costs, measured: Record) -> None:
    """a decode step computes nothing anew that the plan alone determines.

    That is an operation in which no token has a part and which every step makes alike: the vector cast, moved or
    scaled, a constant built.
    """
    with comparable(costs, promised=True):
        repeated = {use: costs.repeated(use) for use in costs.uses()}
        measured(decode_constant_operations=max(found.total() for found in repeated.values()))
        for use, found in repeated.items():
            if found:
                names = ", ".join(f"{times} {name}" for name, times in sorted(found.items()))
                raise Violation(
                    f"{found.total()} operations that no token has a part in, in each decode step: {names}; allowed 0",
                    where=str(use),
                    likely=Diagnosis(Cause.PREPARED_EACH_PASS),
                )


@pytest.mark.steering_requirement(id="no-more-than-the-sum", needs=("GENERATE",), since="1.1")
def test_no_more_than_the_sum(costs: Costs, measured: Record) -> None:
    """a decode step allocates the sum at each steered layer and no more: one tensor as large as the residual stream.

    What its mask takes is allowed beside it, 64 bytes for each token of the step.
    """
    with comparable(costs, promised=True):
        rows = len(costs.harness.prompts.ids(costs.inputs()))
        residual = sum(costs.residual_bytes(layer, rows) for layer in costs.layers)
        steps = {use: max(step.bytes for step in costs.steps(use)) for use in costs.uses()}
        operations = max(step.operations for use in steps for step in costs.steps(use))
        measured(
            decode_bytes=max(steps.values()),
            decode_bytes_of_sums=residual,
            decode_operations=operations,
            prompt_operations=costs.prompt().operations,
            prompt_bytes=costs.prompt().bytes,
        )
        for use, found in steps.items():
            if found > residual + BYTES_OF_MASK * rows:
                raise Violation(
                    f"a decode step of {rows} rows allocates {found} bytes more; the sums at {len(costs.layers)} "
                    f"layers take {residual}",
                    where=str(use),
                    likely=Diagnosis(Cause.COPIED),
                )


@pytest.mark.steering_requirement(id="even-steps", needs=("GENERATE",), since="1.1")
def test_even_steps(costs: Costs, measured: Record) -> None:
    """what steering adds to the cost of a decode step does not grow with the step.

    In operations, bytes and Python calls.
    """
    with comparable(costs):
        growth = {use: costs.steps(use)[-1].beyond(costs.steps(use)[0]).figures() for use in costs.uses()}
        most = {name: max(found[name] for found in growth.values()) for name in Counts().figures()}
        measured(**{f"growth_of_{name}": figure for name, figure in most.items()})
        for use, found in growth.items():
            grown = [f"{figure} {name}" for name, figure in found.items() if figure > 0]
            if grown:
                steps = len(costs.steps(use)) - 1
                raise Violation(
                    f"{', '.join(grown)} more than {steps} decode steps before; allowed 0",
                    where=str(use),
                    likely=Diagnosis(Cause.GROWS),
                )


@pytest.mark.steering_requirement(id="all-tokens-at-once", since="1.1")
def test_all_tokens_at_once(costs: Costs, measured: Record) -> None:
    """a pass of many rows and tokens takes as many operations for steering as one of few."""
    with comparable(costs):
        rows = (1, 4) if costs.harness.can("BATCH") else (1, 1)
        few, many = (costs.prompt(shape=(rows[i], (3, 24)[i])) for i in (0, 1))
        measured(few_operations=few.operations, many_operations=many.operations, many_calls=many.calls)
        if many.operations > few.operations or many.calls > few.calls + CALLS_TO_LOOK:
            raise Violation(
                f"{many.operations} operations and {many.calls} Python calls more for {rows[1]} rows of 24 tokens, "
                f"{few.operations} and {few.calls} for one row of 3",
                where=str(Use()),
                likely=Diagnosis(Cause.TOKEN_LOOP),
            )


@pytest.mark.steering_requirement(id="layers-add-up", needs=("MULTI_LAYER",), since="1.1")
def test_layers_add_up(costs: Costs, measured: Record) -> None:
    """steering several layers costs no more than steering each of them alone: operations and bytes add up."""
    with comparable(costs, promised=True):
        together = costs.prompt()
        alone = sum((costs.prompt(layers=(layer,)) for layer in costs.layers), Counts())
        measured(
            together_operations=together.operations,
            alone_operations=alone.operations,
            together_bytes=together.bytes,
            alone_bytes=alone.bytes,
            together_calls=together.calls,
        )
        if together.operations > alone.operations or together.bytes > alone.bytes:
            raise Violation(
                f"{together.operations} operations and {together.bytes} bytes more for {len(costs.layers)} layers; "
                f"each of them alone adds up to {alone.operations} and {alone.bytes}",
                where=f"layers {', '.join(map(str, costs.layers))}",
                likely=Diagnosis(Cause.LAYER_LOOP),
            )


@pytest.mark.steering_requirement(id="other-layers-cost-nothing", since="1.1")
def test_other_layers_cost_nothing(costs: Costs, measured: Record) -> None:
    """a layer that is not steered does nothing for steering: no operation, no memory, no more Python than a look.

    A look is twelve Python calls for each module of the layer; what an adapter does when a pass begins or ends is
    not the layers'.
    """
    layers = costs.harness.architecture.layers
    with comparable(costs, promised=True):
        steered = len(layers) // 2
        found = costs.by_layer(costs.plan((steered,)))
        # What follows the last layer is the end of the pass, where an adapter may tidy up.
        others = {layer: counts for layer, counts in found.items() if layer not in (steered, len(layers) - 1)}
        measured(
            other_operations=max((counts.operations for counts in others.values()), default=0),
            other_bytes=max((counts.bytes for counts in others.values()), default=0),
            other_calls=max((counts.calls for counts in others.values()), default=0),
        )
        for layer, counts in others.items():
            _nothing(
                counts,
                sum(1 for _ in layers[layer].modules()),
                f"layer {layer}, of which layer {steered} alone is steered",
                Cause.OTHER_LAYERS,
            )


@pytest.mark.steering_requirement(id="idle-costs-nothing", since="1.1")
def test_idle_costs_nothing(costs: Costs, unsteered_cost: Idle, measured: Record) -> None:
    """an adapter that does not steer costs nothing, before its first block and after its last: no operation, no
    memory, no more Python than a look.

    Beside the model as it was before any adapter was made for it. A look is twelve Python calls for each module.
    """
    harness = costs.harness
    with comparable(costs):
        with harness.steering(costs.plan(costs.layers)), harness.running():
            pass
        with harness.running():
            now = forward(harness.model, harness.prompts.batch()).total
        beyond = now.beyond(unsteered_cost.forward)
        measured(**{f"idle_{name}": figure for name, figure in beyond.figures().items()})
        _nothing(beyond, unsteered_cost.modules, "after a block", Cause.IDLE)


def _nothing(counts: Counts, modules: int, where: str, cause: Cause) -> None:
    if counts.operations > 0 or counts.bytes > 0 or counts.calls > CALLS_TO_LOOK * modules:
        raise Violation(
            f"{counts.operations} operations, {counts.bytes} bytes and {counts.calls} Python calls more in {modules} "
            f"modules; allowed 0, 0 and {CALLS_TO_LOOK * modules}",
            where=where,
            likely=Diagnosis(cause),
        )
