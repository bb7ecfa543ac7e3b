"""A session as the Python program that somebody would write: each step is one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from pytest_steering.scenarios.steps import (
    Call,
    CallAfter,
    Change,
    Collect,
    Enter,
    Fail,
    Leave,
    Make,
    Prepare,
    Refuse,
    Rewrite,
    Session,
    Step,
)

INSIDE = frozenset({"prompt", "block"})
"""Fields of a step that are no value of a dimension."""


def program(session: Session, spec: str, adapter: str, **options: Any) -> str:
    """The session as a program that fails as it did: see :class:`~pytest_steering.suite.replay.Replay`."""
    given = ", ".join([repr(spec), repr(adapter), *(f"{name}={value!r}" for name, value in options.items())])
    head = ["from pytest_steering import Replay", "", f"use = Replay({given})"]
    lines = list(_lines(session))
    for number, line in enumerate(lines):
        block, found, step = line.partition(" = ")
        if found and not any(block in later for later in lines[number + 1 :]):
            lines[number] = step
    return "\n".join([*head, *lines, "use.judge()"])


def _lines(session: Session) -> Iterator[str]:
    prepared: set[int] = set()
    for step in session:
        if isinstance(step, Enter) and step.block in prepared:
            yield f"use.enter(block_{step.block})"
        else:
            yield _line(step)
        if isinstance(step, Prepare):
            prepared.add(step.block)
        elif isinstance(step, Enter):
            prepared.discard(step.block)


def _line(step: Step) -> str:
    match step:
        case Make(how):
            return f"use.make({how!r})"
        case Change(what):
            return f"use.change({what!r})"
        case Prepare(block, plan):
            return f"block_{block} = use.prepare({unusual(plan)})"
        case Enter(block, plan):
            return f"block_{block} = use.enter({unusual(plan)})"
        case Leave(block, by):
            return f"use.leave(block_{block}{'' if by == 'end' else f', by={by!r}'})"
        case Call():
            return f"use.call({unusual(step, step.prompt)})"
        case CallAfter(block):
            return f"use.call_after(block_{block})"
        case Rewrite(plan, new):
            return f"use.rewrite(dict({unusual(plan)}), dict({unusual(new)}))"
        case Fail(call):
            return f"use.fail({unusual(call, call.prompt)})"
        case Refuse() | Collect():
            return f"use.{type(step).__name__.lower()}()"


def unusual(*parts: Any) -> str:
    """The values that are not the plainest, as arguments."""
    found = [
        f"{each.name}={getattr(part, each.name)!r}"
        for part in parts
        for each in fields(part)
        if each.name not in INSIDE and getattr(part, each.name) != each.default
    ]
    return ", ".join(found)
