"""The contract of an adapter: all that the suite reads of one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import nn

    from pytest_steering.architecture.model import Architecture
    from pytest_steering.steering.capability import Capability
    from pytest_steering.steering.plan import SteeringPlan


@runtime_checkable
class SteeringAdapter(Protocol):
    """A steering implementation under test.

    ``steer`` returns a context manager whose value is called like the model (``steered(**inputs).logits``) and, with
    ``Capability.GENERATE``, has ``generate``. Inside the block what decoder layer i emits is ``h + scale * v`` at the
    plan's positions and bit-equal elsewhere; a plan that does not fit raises ``ValueError`` before anything changes.
    """

    name: str
    capabilities: frozenset[Capability]

    def steer(self, plan: SteeringPlan) -> AbstractContextManager[Any]:
        """A context in which the yielded object runs the model steered by ``plan``."""
        ...


Factory = Callable[["nn.Module", "Architecture"], SteeringAdapter]
