"""What an engine must refuse, and what it must not keep."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import psutil
import torch

from pytest_steering.oracle.engines.harness import EngineHarness
from pytest_steering.steering.plan import SteeringPlan

THROUGHPUT = 2.5
"""Steered requests may take so many times as long."""
_ROUNDS = 8
_PLANS = 4
_RESIDENT = 32 * 2**20
"""Bytes by which the processes may grow in as many rounds."""


def refused(harness: EngineHarness, what: str) -> Iterator[SteeringPlan]:
    """Plans that do not fit this model, or this engine, in one way."""
    plan = harness.plan()
    layer, vector = next(iter(plan.vectors.items()))
    if what == "width":
        yield SteeringPlan({layer: vector[:-1].clone()})
        yield SteeringPlan({layer: vector[:1].clone()})
        yield SteeringPlan({layer: torch.cat([vector, vector])})
    elif what == "layer":
        architecture = harness.expected.architecture
        yield SteeringPlan({architecture.num_layers: vector})
        yield SteeringPlan({layer: vector, architecture.num_layers + 7: vector})
        for cannot in set(architecture.every_layer) - set(harness.layers):
            yield SteeringPlan({cannot: vector})
    else:
        # What was written into a vector after the plan was made, no plan can see.
        for number in (float("nan"), float("inf")):
            other = vector.clone()
            spoilt = SteeringPlan({layer: other})
            other[len(other) // 2] = number
            yield spoilt


def growth(harness: EngineHarness) -> tuple[bool, str]:
    """Whether tensors of this process, or the processes as a whole, grow with plans and requests; with the figures."""

    def rounds(first: int, count: int) -> None:
        for number in range(first, first + count):
            requests = [
                harness.request(3, harness.plan(seed=1000 + _PLANS * number + each), seed=each, max_new_tokens=2)
                for each in range(_PLANS)
            ]
            harness.engine.run(requests)

    # The cache fills first: what it holds is bounded, and full before it is looked at.
    filling = harness.limits.cache // (_PLANS * harness.limits.block) + 1
    rounds(0, min(filling, 2 * _ROUNDS))
    tensors, resident = _tensors(), _resident()
    rounds(100, _ROUNDS)
    more, bytes_more = _tensors() - tensors, _resident() - resident
    if more >= _ROUNDS * _PLANS:
        return True, f"{more} tensors more are alive after {_ROUNDS * _PLANS} plans more"
    return bytes_more > _RESIDENT, f"the processes hold {bytes_more / 2**20:.0f} MiB more after {_ROUNDS} rounds"


def _tensors() -> int:
    gc.collect()
    return sum(1 for each in gc.get_objects() if type(each) is torch.Tensor)


def _resident() -> int:
    own = psutil.Process(os.getpid())
    total = 0
    for process in (own, *own.children(recursive=True)):
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:  # ended since it was listed
            continue
    return total
