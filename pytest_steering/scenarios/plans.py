"""What is steered: which layers, by which vectors, how strongly, at which positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pytest_steering.oracle.harness import Harness
from pytest_steering.scenarios.prompts import Unfit
from pytest_steering.scenarios.space import dimension
from pytest_steering.steering.plan import Positions, SteeringPlan

POSITIONS = dimension("positions")
LAYERS = dimension("layers")
VECTORS = dimension("vectors")
SCALE = dimension("scale")
ONLY = dimension("only")


@dataclass(frozen=True)
class PlanOf:
    """A steering plan, by the names of its values."""

    positions: str = "all"
    layers: str = "middle"
    vectors: str = "ordinary"
    scale: str = "one"
    only: str = "every"
    seed: int = 0


def made(harness: Harness, plan: PlanOf) -> SteeringPlan:
    """The plan for this model; ``Unfit`` where the model has no such layers."""
    layers: Sequence[int] = LAYERS.make(plan.layers)(harness)
    scale = SCALE.make(plan.scale)()
    ordinary = [harness.plans.within(layer, harness.plans.vector(layer, plan.seed), float(scale)) for layer in layers]
    vectors = VECTORS.make(plan.vectors)(ordinary)
    positions, rows = POSITIONS.make(plan.positions)(), ONLY.make(plan.only)()
    return SteeringPlan(dict(zip(layers, vectors, strict=True)), scale, positions, rows)


# Positions


@POSITIONS.value("every token", name="all")
def _all() -> Positions:
    return Positions.ALL


@POSITIONS.value("positions LAST", needs=("LAST",))
def _last() -> Positions:
    return Positions.LAST


@POSITIONS.value("positions PROMPT", needs=("PROMPT",))
def _prompt() -> Positions:
    return Positions.PROMPT


@POSITIONS.value("positions GENERATED", needs=("GENERATED",))
def _generated() -> Positions:
    return Positions.GENERATED


# Layers


@LAYERS.value("a layer in the middle")
def _middle(harness: Harness) -> list[int]:
    return harness.plans.layers("middle")[:1]


@LAYERS.value("the first layer")
def _first(_harness: Harness) -> list[int]:
    return [0]


@LAYERS.value("the last layer", name="last")
def _last_layer(harness: Harness) -> list[int]:
    return [harness.architecture.num_layers - 1]


@LAYERS.value("the second layer", name="second", alone=True)
def _second_layer(harness: Harness) -> list[int]:
    return [min(1, harness.architecture.num_layers - 1)]


_SEVERAL = ("MULTI_LAYER", "PER_LAYER_VECTORS")


@LAYERS.value("every layer", needs=_SEVERAL)
def _every(harness: Harness) -> list[int]:
    return list(harness.architecture.every_layer)


@LAYERS.value("layers that are no neighbours", needs=_SEVERAL)
def _apart(harness: Harness) -> list[int]:
    if harness.architecture.num_layers < 3:
        raise Unfit(f"the model has {harness.architecture.num_layers} decoder layers: none are apart")
    return [0, harness.architecture.num_layers - 1]


@LAYERS.value("layers in another order", needs=_SEVERAL)
def _backwards(harness: Harness) -> list[int]:
    layers = list(harness.architecture.steering_layers)
    if len(layers) < 2:
        raise Unfit("the model has one decoder layer")
    return [layers[-1], *layers[:-1]]


# Vectors


@VECTORS.value("a vector of its own for each layer")
def _ordinary(vectors: list[Tensor]) -> list[Tensor]:
    return vectors


@VECTORS.value("one tensor for every layer")
def _shared(vectors: list[Tensor]) -> list[Tensor]:
    return vectors[:1] * len(vectors)


@VECTORS.value("vectors that are rows of one matrix", forward=True)
def _rows(vectors: list[Tensor]) -> list[Tensor]:
    return list(torch.stack(vectors))


@VECTORS.value("vectors that are columns of a matrix", name="strided", forward=True)
def _columns(vectors: list[Tensor]) -> list[Tensor]:
    return list(torch.stack(vectors, dim=1).T)


@VECTORS.value("a vector expanded from one number", forward=True)
def _expanded(vectors: list[Tensor]) -> list[Tensor]:
    return [vector.abs().mean().expand(len(vector)) for vector in vectors]


@VECTORS.value("float64 vectors")
def _float64(vectors: list[Tensor]) -> list[Tensor]:
    return [vector.double() for vector in vectors]


@VECTORS.value("bfloat16 vectors")
def _bfloat16(vectors: list[Tensor]) -> list[Tensor]:
    return [vector.bfloat16() for vector in vectors]


@VECTORS.value("vectors that differ from others in the fifth decimal of one element", name="nearly", alone=True)
def _nearly(vectors: list[Tensor]) -> list[Tensor]:
    for vector in vectors:
        vector[-1] += 2e-5
    return vectors


@VECTORS.value("vectors that require gradients")
def _differentiable(vectors: list[Tensor]) -> list[Tensor]:
    return [vector.requires_grad_() for vector in vectors]


# Scales


@SCALE.value("scale 1")
def _one() -> float:
    return 1.0


@SCALE.value("scale 0.5")
def _half() -> float:
    return 0.5


@SCALE.value("a negative scale")
def _negative() -> float:
    return -3.0


@SCALE.value("scale 0")
def _zero() -> float:
    return 0.0


@SCALE.value("scale 20", alone=True)
def _large() -> float:
    return 20.0


@SCALE.value("a scale that is a whole number", alone=True)
def _whole() -> int:
    return 2


@SCALE.value("a scale that is a tensor", alone=True)
def _tensor() -> Tensor:
    return torch.tensor(1.5)


# Rows


@ONLY.value("plans of every row", name="every")
def _every_row() -> None:
    """All rows are steered."""


_ROWS = ("BATCH", "ROWS")


@ONLY.value("a plan of the first row alone", needs=_ROWS, name="first")
def _first_row() -> tuple[int, ...]:
    return (0,)


@ONLY.value("a plan of all rows but the first", needs=_ROWS, name="others")
def _other_rows() -> tuple[int, ...]:
    return tuple(range(1, 64))
