"""What an engine did instead: the bug under which the reference implementation says what the engine said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pytest_steering.engines.protocol import Limits
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.engines.expected import Expected, Steps, meant
from pytest_steering.steering.plan import SteeringPlan

_CLAMPS = (1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0)


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
    for diagnosis, steps in _bugs(expected, seen, others, limits):
        if seen.distance(expected.log_probs(seen.tokens, steps)) <= seen.allowed:
            return diagnosis
    if seen.plan is not None and (where := _positions(expected, seen)) is not None:
        return _of_positions(seen, where, limits)
    return None


def _bugs(
    expected: Expected, seen: Seen, others: Sequence[SteeringPlan], limits: Limits
) -> Iterator[tuple[Diagnosis, Steps]]:
    """Bugs, with what each of them steers."""
    plan, total = seen.plan, len(seen.tokens)
    if plan is not None:
        yield Diagnosis(Cause.NEVER), ()
        where = meant(plan, seen.prompt, total)
        for cause, other in _other_plans(plan, expected.architecture.num_layers):
            yield Diagnosis(cause), [(other, where)]
    for other in others:
        yield Diagnosis(Cause.SLOT), [(other, meant(other, seen.prompt, total))]
    for other in others:
        yield from _prefixes(seen, other, limits)


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
    if scale != 1:
        yield Cause.SCALE_IGNORED, replace(plan, scale=1.0)
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
        backwards = dict(zip(plan.vectors, reversed(plan.vectors.values()), strict=True))
        yield Cause.MIXED, replace(plan, vectors=backwards)
    for dtype in (torch.float16, torch.bfloat16):
        rounded = {layer: (vector.double() * scale).to(dtype).double() for layer, vector in plan.vectors.items()}
        if all(bool(vector.isfinite().all()) for vector in rounded.values()):
            yield Cause.ROUNDED, replace(plan, vectors=rounded, scale=1.0)
        rounded = {layer: vector.to(dtype).double() for layer, vector in plan.vectors.items()}
        yield Cause.ROUNDED, replace(plan, vectors=rounded)


def _positions(expected: Expected, seen: Seen) -> Tensor | None:
    """At which positions the plan was followed, told one after the other: what a token says depends on none after it.

    ``None`` where neither to steer nor not to steer gives what the engine said.
    """
    assert seen.plan is not None
    total = len(seen.tokens)
    where = meant(seen.plan, seen.prompt, total)
    for position in range(total):
        if seen.row_distance(expected.log_probs(seen.tokens, [(seen.plan, where)]), position) <= seen.allowed:
            continue
        where[position] = ~where[position]
        if seen.row_distance(expected.log_probs(seen.tokens, [(seen.plan, where)]), position) > seen.allowed:
            return None
    return where


def _of_positions(seen: Seen, where: Tensor, limits: Limits) -> Diagnosis:
    """What the positions that were steered point to."""
    assert seen.plan is not None
    prompt, total = seen.prompt, len(seen.tokens)
    at, asked = torch.arange(total), meant(seen.plan, seen.prompt, total)
    wrong = [int(position) for position in at[where != asked]]
    detail = f"positions {', '.join(map(str, wrong[:8]))} of {total}, {prompt} of them the prompt's"

    def is_(other: Tensor) -> bool:
        """Alike but for the last position, which shows nowhere."""
        return bool((where == other)[:-1].all())

    one = (prompt - 1) % limits.chunk == 0 and prompt > 1
    if is_(asked & (at != prompt - 1)) or (one and wrong == [prompt - 1]):
        return Diagnosis(Cause.CHUNK_TAIL if one else Cause.PROMPT_END, detail)
    if is_(asked & (at < prompt)):
        return Diagnosis(Cause.PROMPT_ONLY, detail)
    if is_(asked & (at >= prompt)):
        return Diagnosis(Cause.PROMPT_LEFT, detail)
    if wrong == [prompt]:
        return Diagnosis(Cause.BORDER, detail)
    if any(
        is_(asked & ((at < size) | (at >= prompt)))
        for size in {limits.chunk, limits.block, *range(limits.block, total, limits.block)}
    ):
        return Diagnosis(Cause.FIRST_CHUNK, detail)
    if any(is_(asked & (at < prompt + new)) for new in range(1, total - prompt)):
        return Diagnosis(Cause.GIVES_UP, detail)
    if is_(torch.ones_like(asked)):
        return Diagnosis(Cause.ALL_POSITIONS, detail)
    return Diagnosis(Cause.EXTRA_TOKENS if not bool(asked[wrong].any()) else Cause.POSITIONS, detail)
