"""Which rows and tokens are steered, and that no other is."""

from __future__ import annotations

import pytest
import torch

from pytest_steering.errors import Violation
from pytest_steering.oracle import checks, comparison, tolerance
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.experiments import settle
from pytest_steering.oracle.diagnosis.place import wrong_place
from pytest_steering.oracle.harness import Harness
from pytest_steering.steering.plan import Positions

SIDES = ("left", "right")


@pytest.mark.parametrize("run", ["forward", "generate"])
@pytest.mark.parametrize("positions", list(Positions))
@pytest.mark.steering_requirement(id="only-these-positions", core=True)
def test_only_these_positions(harness: Harness, positions: Positions, run: str) -> None:
    """exactly the plan's token positions are steered, and every other is bit-equal to the unsteered run.

    Positions are absolute: the same tokens in a forward pass, in the prefill and in every decode pass.
    """
    harness.need_positions(positions)
    plan = harness.plans.plan(harness.plans.layers("middle")[:1], positions=positions)
    if run == "forward":
        checks.forward(harness, plan, harness.prompts.batch())
    else:
        harness.need("GENERATE")
        checks.passes(harness, plan, harness.prompts.batch())


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.steering_requirement(id="every-row", core=True, needs=("BATCH",))
def test_every_row(harness: Harness, place: str) -> None:
    """every row of a batch is steered by the same vector.

    A layer that returns a bare tensor turns output[0] into batch row 0.
    """
    inputs = harness.prompts.batch()
    for layer in harness.plans.layers(place):
        checks.forward(harness, harness.plans.plan([layer]), inputs)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.steering_requirement(id="padding-untouched", core=True, needs=("BATCH", "PADDING"))
def test_padding_untouched(harness: Harness, side: str) -> None:
    """padding is bit-equal to the unsteered run, on either side, and every real token is steered."""
    inputs = harness.prompts.padded(side)
    for layer in harness.plans.layers("middle"):
        if not bool(torch.isfinite(harness.unsteered.run(inputs).received(layer)).all()):
            not_applicable(f"the unsteered model itself computes NaN or infinity in rows with {side} padding")
        checks.forward(harness, harness.plans.plan([layer]), inputs)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.steering_requirement(id="padded-equals-unpadded", core=True, needs=("BATCH", "PADDING"))
def test_padded_equals_unpadded(harness: Harness, side: str) -> None:
    """a padded row is steered to the same logits as the same row without padding, within rounding."""
    inputs = harness.prompts.padded(side)
    _rows_alone(harness, inputs, f"{side} padding")


@pytest.mark.steering_requirement(id="batch-equals-single", core=True, needs=("BATCH",))
def test_batch_equals_single(harness: Harness) -> None:
    """a row in a batch is steered to the same logits as the same row alone, within rounding."""
    _rows_alone(harness, harness.prompts.batch(), "batch")


def _rows_alone(harness: Harness, inputs: dict, where: str) -> None:  # type: ignore[type-arg]
    plan = harness.plans.plan(harness.plans.layers("middle")[:1])
    together, plain = harness.steered(plan, inputs).result, harness.unsteered.run(inputs).result
    # Some models return the logits of their last tokens alone, others also those of positions before the tokens.
    mask = harness.prompts.real(inputs)[:, -plain.shape[1] :]
    together, plain = together[:, -mask.shape[1] :], plain[:, -mask.shape[1] :]
    for row in range(len(mask)):
        alone = harness.prompts.row(inputs, row)
        returned = int(mask[row].sum())
        if not returned:
            continue
        unsteered = harness.unsteered.run(alone).result[0, -returned:]
        floor = tolerance.furthest(plain[row, mask[row]], unsteered)
        dtype = harness.dtype_of(unsteered)
        if floor > 4 * tolerance.rounding(unsteered, dtype=dtype):
            not_applicable("the unsteered model itself gives this row other logits in the batch")
        try:
            comparison.close(
                together[row, mask[row]],
                harness.steered(plan, alone).result[0, -returned:],
                f"the logits of row {row}, beside the row alone",
                where=f"{checks.named(plan)}, {where}",
                floor=floor,
                dtype=dtype,
            )
        except Violation as violation:
            settle(violation, lambda: wrong_place(harness, plan, inputs))
            raise
