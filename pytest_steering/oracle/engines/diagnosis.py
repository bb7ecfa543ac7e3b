"""What an engine did instead: the bug under which the reference implementation says what the engine said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pytest_steering.engines.protocol import Limits
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.engines.expected import Expected, Steps, meant
from pytest_steering.steering.plan import Positions, SteeringPlan

_CLAMPS = (2.0, 3.0, 4.0, 5.0, 8.0, 10.0)


@dataclass(frozen=True, eq=False)
class Seen:
    """A completion that is not as expected."""

    tokens: Sequence[int]
    prompt: int
    plan: SteeringPlan | None
    distance: Callable[[Tensor], float]
    """How far what the engine said lies from other log-probabilities, ``(tokens, vocabulary)``."""
    row_distance: Callable[[Tensor, int], float]
    """The same at one position alone; infinite nowhere, 0 where the engine says nothing."""
    allowed: float


def diagnosed(expected: Expected, seen: Seen, others: Sequence[SteeringPlan], limits: Limits) -> Diagnosis | None:
    """The cause whose effect the engine shows; ``None`` when none of those that are tried fits."""
    plan = seen.plan
    if plan is not None:
        for diagnosis, steps in _of_the_plan(expected, seen, plan):
            if seen.distance(expected.log_probs(seen.tokens, steps)) <= seen.allowed:
                return diagnosis
        if (where := _positions(expected, seen, plan)) is not None:
            return _of_positions(seen, plan, where, limits)
        if (row := _computed_anew(expected, seen, plan)) is not None:
            return Diagnosis(Cause.RESUMED, f"from position {row} on, as if it had never been steered before")
    for diagnosis, steps in _of_others(seen, others, limits):
        if seen.distance(expected.log_probs(seen.tokens, steps)) <= seen.allowed:
            return diagnosis
    return None


def _of_the_plan(expected: Expected, seen: Seen, plan: SteeringPlan) -> Iterator[tuple[Diagnosis, Steps]]:
    """Nothing is steered, or something else than the plan says."""
    yield Diagnosis(Cause.NEVER), ()
    where = meant(plan, seen.prompt, len(seen.tokens))
    for cause, other in _other_plans(plan, expected.architecture.num_layers):
        yield Diagnosis(cause), [(other, where)]


def _of_others(seen: Seen, others: Sequence[SteeringPlan], limits: Limits) -> Iterator[tuple[Diagnosis, Steps]]:
    """What belongs to another request is taken."""
    for other in others:
        yield Diagnosis(Cause.SLOT), [(other, meant(other, seen.prompt, len(seen.tokens)))]
        for position in range(len(seen.tokens)):
            one = torch.arange(len(seen.tokens)) == position
            steps: list[Any] = [(other, one)]
            if seen.plan is not None:
                steps.append((seen.plan, meant(seen.plan, seen.prompt, len(seen.tokens)) & ~one))
            yield Diagnosis(Cause.SLOT, f"at position {position} alone"), steps
    for earlier in (*others, None):
        yield from _prefixes(seen, earlier, limits)


def _prefixes(seen: Seen, other: SteeringPlan | None, limits: Limits) -> Iterator[tuple[Diagnosis, Steps]]:
    """The first blocks were computed under another plan."""
    total = len(seen.tokens)
    for end in range(limits.block, total, limits.block):
        first = torch.arange(total) < end
        steps: list[tuple[SteeringPlan, Tensor]] = []
        if other is not None:
            steps.append((other, meant(other, seen.prompt, total) & first))
        if seen.plan is not None:
            steps.append((seen.plan, meant(seen.plan, seen.prompt, total) & ~first))
        yield Diagnosis(Cause.PREFIX, f"{end} tokens of it"), steps


def _other_plans(plan: SteeringPlan, layers: int) -> Iterator[tuple[Cause, SteeringPlan]]:
    """The plan with one thing wrong."""
    scale = plan.scale
    for cause, factor in ((Cause.TWICE, 2.0), (Cause.HALVED, 0.5), (Cause.SIGN if scale < 0 else Cause.SUBTRACTED, -1)):
        yield cause, replace(plan, scale=scale * factor)
    for one in {1.0, -1.0 if scale < 0 else 1.0} - {scale}:
        yield Cause.SCALE_IGNORED, replace(plan, scale=one)
    for most in _CLAMPS:
        if abs(scale) > most:
            yield Cause.CLAMPED, replace(plan, scale=most if scale > 0 else -most)
    for cause, by in ((Cause.LAYER_BEFORE, -1), (Cause.ANOTHER_LAYER, 1)):
        moved = {layer + by: vector for layer, vector in plan.vectors.items() if 0 <= layer + by < layers}
        if moved:
            yield cause, replace(plan, vectors=moved)
    if len(plan.vectors) > 1:
        for layer in plan.vectors:
            yield Cause.SOME_LAYERS, replace(plan, vectors={layer: plan.vectors[layer]})
            rest = {each: vector for each, vector in plan.vectors.items() if each != layer}
            yield Cause.SOME_LAYERS, replace(plan, vectors=rest)
        total = sum(vector.double() for vector in plan.vectors.values())
        assert isinstance(total, Tensor)
        yield Cause.SUMMED, replace(plan, vectors=dict.fromkeys(plan.vectors, total))
        backwards = dict(zip(plan.vectors, reversed(list(plan.vectors.values())), strict=True))
        yield Cause.MIXED, replace(plan, vectors=backwards)
    for dtype in (torch.float16, torch.bfloat16):
        rounded = {layer: (vector.double() * scale).to(dtype).double() for layer, vector in plan.vectors.items()}
        if all(bool(vector.isfinite().all()) for vector in rounded.values()):
            yield Cause.ROUNDED, replace(plan, vectors=rounded, scale=1.0)
        rounded = {layer: vector.to(dtype).double() for layer, vector in plan.vectors.items()}
        yield Cause.ROUNDED, replace(plan, vectors=rounded)


def _positions(expected: Expected, seen: Seen, plan: SteeringPlan) -> Tensor | None:
    """At which positions the plan was followed, told one after the other: what a token says depends on none after it.

    ``None`` where neither to steer nor not to steer gives what the engine said.
    """
    total = len(seen.tokens)
    where = meant(plan, seen.prompt, total)
    for position in range(total):
        if seen.row_distance(expected.log_probs(seen.tokens, [(plan, where)]), position) <= seen.allowed:
            continue
        where[position] = ~where[position]
        if seen.row_distance(expected.log_probs(seen.tokens, [(plan, where)]), position) > seen.allowed:
            return None
    return where


def _computed_anew(expected: Expected, seen: Seen, plan: SteeringPlan) -> int | None:
    """The position from which on all tokens were computed anew, and those before it not steered; ``None`` for none."""
    total = len(seen.tokens)
    asked = meant(plan, seen.prompt, total)
    right = expected.log_probs(seen.tokens, [(plan, asked)])
    first = next(row for row in range(total) if seen.row_distance(right, row) > seen.allowed)
    for start in range(seen.prompt, total + 1):
        other = expected.log_probs(seen.tokens, [(plan, asked & (torch.arange(total) >= start))])
        if all(seen.row_distance(other, row) <= seen.allowed for row in range(first, total)):
            return first
    return None


def _of_positions(seen: Seen, plan: SteeringPlan, where: Tensor, limits: Limits) -> Diagnosis:
    """What the positions that were steered point to."""
    prompt, total = seen.prompt, len(seen.tokens)
    at, asked = torch.arange(total), meant(plan, seen.prompt, total)
    wrong = [int(position) for position in at[where != asked]]
    detail = f"positions {', '.join(map(str, wrong[:8]))} of {total}, {prompt} of them the prompt's"

    def is_(other: Tensor) -> bool:
        """Alike but for the last position, which shows nowhere."""
        return bool((where == other)[:-1].all())

    one = prompt > 1 and 0 in ((prompt - 1) % limits.chunk, (prompt - 1) % limits.block)
    left_out = bool(asked[wrong].all())
    if wrong == [prompt - 1] and not left_out and plan.positions is Positions.GENERATED:
        return Diagnosis(Cause.OFF_BY_ONE, detail)
    if is_(asked & (at != prompt - 1)) or (one and wrong == [prompt - 1]):
        return Diagnosis(Cause.CHUNK_TAIL if one else Cause.PROMPT_END, detail)
    if is_(asked & (at < prompt)):
        return Diagnosis(Cause.PROMPT_ONLY, detail)
    if is_(asked & (at >= prompt)):
        return Diagnosis(Cause.PROMPT_LEFT, detail)
    if wrong == [prompt]:
        return Diagnosis(Cause.BORDER, detail)
    sizes = {limits.chunk, *range(limits.block, total, limits.block)}
    if any(is_(asked & ((at < size) | (at >= prompt))) for size in sizes):
        return Diagnosis(Cause.FIRST_CHUNK, detail)
    if prompt > limits.block and any(is_(asked & (at >= size)) for size in sizes):
        return Diagnosis(Cause.FIRST_LEFT, detail)
    if any(is_(asked & (at < prompt + new)) for new in range(1, total - prompt)):
        return Diagnosis(Cause.GIVES_UP, detail)
    if is_(torch.ones_like(asked)):
        return Diagnosis(Cause.ALL_POSITIONS, detail)
    if plan.positions is Positions.LAST and not left_out and max(wrong) < prompt:
        return Diagnosis(Cause.LAST_OF_PASS, detail)
    return Diagnosis(Cause.POSITIONS if bool(asked[wrong].any()) else Cause.EXTRA_TOKENS, detail)
