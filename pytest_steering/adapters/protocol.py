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
    """What it is called in verdicts and reports."""
    capabilities: frozenset[Capability]
    """What it promises beyond the core: declared capabilities must pass, others are not applicable."""
    version: str = ""
    """Shown behind the name; may be left out."""
    accumulates: bool = False
    """It adds the vector inside a matrix product, whose rounding is allowed for (in float32 and float64, 32 units in
    the last place in place of 2); may be left out."""
    frugal: bool = False
    """It prepares once what the plan alone determines, and adds to a pass nothing but the sums: counted where it says
    so; may be left out."""

    def steer(self, plan: SteeringPlan) -> AbstractContextManager[Any]:
        """A context in which the yielded object runs the model steered by ``plan``."""
        ...


def version_of(adapter: SteeringAdapter) -> str:
    """The adapter's version, empty where it has none."""
    return str(getattr(adapter, "version", SteeringAdapter.version))


def accumulates(adapter: SteeringAdapter) -> bool:
    """The adapter says that it adds the vector inside a matrix product."""
    return bool(getattr(adapter, "accumulates", SteeringAdapter.accumulates))


def frugal(adapter: SteeringAdapter) -> bool:
    """The adapter says that it spends nothing that steering need not cost."""
    return bool(getattr(adapter, "frugal", SteeringAdapter.frugal))


Factory = Callable[["nn.Module", "Architecture"], SteeringAdapter]
