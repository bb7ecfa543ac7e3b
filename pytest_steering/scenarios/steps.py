"""What a person does, step by step: a session, as data that can be stored, printed, shrunk and run again."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_steering.scenarios.plans import PlanOf
from pytest_steering.scenarios.prompts import Prompt


@dataclass(frozen=True)
class Make:
    """An adapter is made, or something is done to the model since it was made."""

    made: str


@dataclass(frozen=True)
class Prepare:
    """A block is made and not entered yet."""

    block: int
    plan: PlanOf


@dataclass(frozen=True)
class Enter:
    """A block is entered."""

    block: int
    plan: PlanOf


@dataclass(frozen=True)
class Leave:
    """A block is left: at its end, or by something raised inside."""

    block: int
    by: str = "end"


@dataclass(frozen=True)
class Call:
    """The innermost open block is called, or the model itself where none is open."""

    prompt: Prompt = field(default_factory=Prompt)
    run: str = "forward"
    decoding: str = "greedy"
    options: str = "none"
    arguments: str = "keywords"
    memory: str = "none"
    state: str = "evaluation"
    thread: str = "main"


@dataclass(frozen=True)
class Fail:
    """A call that the model breaks off in the middle with an exception."""

    call: Call


@dataclass(frozen=True)
class CallAfter:
    """What a block had yielded is called when the block is left: whatever that does, nothing of it stays."""

    block: int


@dataclass(frozen=True)
class Rewrite:
    """The vectors of a plan that steers no longer become those of another, in the same memory."""

    plan: PlanOf
    new: PlanOf


@dataclass(frozen=True)
class Change:
    """The caller changes the model itself, in a block or outside."""

    what: str


@dataclass(frozen=True)
class Refuse:
    """A plan that cannot be meant is tried: its last vector is too long."""


@dataclass(frozen=True)
class Collect:
    """Garbage is collected."""


Step = Make | Prepare | Enter | Leave | Call | CallAfter | Change | Fail | Refuse | Rewrite | Collect
Session = tuple[Step, ...]
