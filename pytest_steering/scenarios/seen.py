"""What is seen of a session while it is played, call by call."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from pytest_steering.architecture.observation import Trace
from pytest_steering.scenarios.calls import Ask
from pytest_steering.scenarios.making import Changes
from pytest_steering.steering.plan import SteeringPlan


@dataclass(eq=False)
class Seen:
    """What was seen of one ask."""

    ask: Ask
    plans: tuple[SteeringPlan, ...]
    """The plans of the open blocks."""
    step: int = 0
    """The number of the step in its session."""
    trace: Trace = field(default_factory=lambda: Trace([]))
    tensors: dict[str, Tensor] = field(default_factory=dict)
    """What was returned."""
    gradients: list[Tensor | None] = field(default_factory=list)
    wants: frozenset[str] = frozenset()
    """Which of what was returned wants a gradient."""
    random: Tensor | None = None
    """The random state afterwards."""
    inputs: dict[str, Tensor] = field(default_factory=dict)
    """The tensors that were given, as they are afterwards."""
    error: str = ""
    """What was raised, in one line."""


@dataclass(eq=False)
class Played:
    """What was seen of a session."""

    seen: list[Seen]
    unfit: str = ""
    """Why the session has no meaning for the model."""
    odd: list[str] = field(default_factory=list)
    """What went wrong beside the calls."""
    changes: Changes | None = None
    """What the session left behind."""


@dataclass(eq=False)
class Called:
    """What was seen of one call, ask after ask."""

    seen: list[Seen] = field(default_factory=list)
    unfit: str = ""
    """Why the call has no meaning for the model."""

    @property
    def bytes(self) -> int:
        """The size of the tensors that it holds."""
        arrived = sum(seen.trace.bytes for seen in self.seen)
        held = (one for seen in self.seen for one in (*seen.tensors.values(), *seen.gradients) if one is not None)
        return arrived + sum(tensor.numel() * tensor.element_size() for tensor in held)
