"""One engine on one checkpoint: its responses, compared with the reference implementation above a measured floor."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from pytest_steering.engines.capability import EngineCapability
from pytest_steering.engines.protocol import (
    Completion,
    LogProbs,
    Request,
    Response,
    SteeringEngine,
    layers_of,
    limits_of,
)
from pytest_steering.errors import EngineError, Violation
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.diagnosis.causes import Cause, Diagnosis
from pytest_steering.oracle.engines.diagnosis import Seen, diagnosed
from pytest_steering.oracle.engines.expected import Expected
from pytest_steering.oracle.engines.responses import check_shape
from pytest_steering.steering.plan import Positions, SteeringPlan

APART = 50
"""The smallest effect that must not be missed is so many times the floor, or the engine cannot be judged."""
ALLOWED = 8
"""Steered log-probabilities may be off by so many times the floor."""
_REMEMBERED = 12

Named = Mapping[Cause, Cause]
"""What a cause is called in the situation at hand."""


class EngineHarness:
    """The runs that requirements are judged on."""

    def __init__(self, expected: Expected, engine: SteeringEngine, start: Callable[[], SteeringEngine]) -> None:
        """``start`` starts an engine like ``engine`` beside it."""
        self.expected = expected
        self.engine = engine
        self.start = start
        self.plans = expected.plans
        self.limits = limits_of(engine)
        self._cannot: str | None = None
        self.measured = 0.0
        """How far the two lay apart, in nats, when the floor was measured."""
        self.met: deque[SteeringPlan] = deque(maxlen=_REMEMBERED)
        """The plans of the last requests."""

    # What applies

    def need(self, *needs: str) -> None:
        """The engine promises all of these, or the requirement is not applicable."""
        for need in needs:
            if EngineCapability[need] not in self.engine.capabilities:
                not_applicable(f"{self.engine.name} does not declare {need}")

    def can(self, need: str) -> bool:
        """The engine promises it."""
        return EngineCapability[need] in self.engine.capabilities

    def need_positions(self, positions: Positions) -> None:
        """The engine honours these positions, or the requirement is not applicable."""
        if positions is not Positions.ALL:
            self.need(positions.name)

    @cached_property
    def layers(self) -> list[int]:
        """The layers that the engine can steer."""
        return sorted(layers_of(self.engine, self.expected.architecture))

    def layer(self, where: str) -> int:
        """The ``first``, ``middle`` or ``last`` of them."""
        return {"first": self.layers[0], "middle": self.layers[len(self.layers) // 2], "last": self.layers[-1]}[where]

    # What is asked

    def plan(
        self, *layers: int, scale: float = 1.0, positions: Positions = Positions.ALL, seed: int = 0
    ) -> SteeringPlan:
        """A plan with seeded vectors, at the middle layer where none is named."""
        return self.plans.plan(layers or [self.layer("middle")], scale, positions, seed=seed)

    def request(self, length: int, plan: SteeringPlan | None = None, *, seed: int = 0, **options: Any) -> Request:
        """A seeded prompt of so many tokens."""
        return Request(self.expected.prompt(length, seed), plan, **{"max_new_tokens": 3, **options})

    # What is answered

    def run(self, *requests: Request) -> list[Response]:
        """The engine's responses, which hold what the requests ask for; ``Violation`` where they do not."""
        self.met.extend(request.plan for request in requests if request.plan is not None and request.plan.scale)
        try:
            responses = list(self.engine.run(requests))
        except ValueError as error:
            raise Violation(f"{self.engine.name} refuses what can be meant: {error}", likely=None) from error
        check_shape(requests, responses, self.can("PROMPT_LOG_PROBS"))
        return responses

    def check(self, *requests: Request, where: str = "", named: Named | None = None) -> list[Response]:
        """The engine runs these requests together, and each is answered as the reference implementation does."""
        responses = self.run(*requests)
        for number, (request, response) in enumerate(zip(requests, responses, strict=True)):
            place = f"{where}, request {number} of {len(requests)}" if len(requests) > 1 else where
            self.judge(request, response, where=place.strip(", "), named=named)
        return responses

    def judge(self, request: Request, response: Response, *, where: str = "", named: Named | None = None) -> None:
        """Every completion of a response is the one of its request."""
        for copy, completion in enumerate(response.completions):
            place = f"{where}, completion {copy}" if request.n > 1 else where
            self._judge(request, response.prompt_log_probs, completion, place, named or {})

    def _judge(
        self, request: Request, before: LogProbs | None, completion: Completion, where: str, named: Named
    ) -> None:
        tokens = (*request.prompt, *completion.tokens[:-1])
        prompt = len(request.prompt)
        right = self.expected.under(tokens, request.plan, prompt)
        parts = [(prompt - 1, completion.log_probs)] + ([(0, before)] if before is not None else [])
        allowed = self.allowed

        def row_distance(other: Tensor, position: int) -> float:
            return max((_apart(part, start, other, position) for start, part in parts), default=0.0)

        def distance(other: Tensor) -> float:
            return max(row_distance(other, position) for position in range(len(tokens)))

        found = distance(right)
        if found > allowed:
            seen = Seen(tokens, prompt, request.plan, distance, row_distance, allowed)
            others = [plan for plan in self.met if plan is not request.plan]
            likely = diagnosed(self.expected, seen, others, self.limits)
            if likely is not None and likely.cause in named:
                likely = Diagnosis(named[likely.cause], likely.detail)
            position = max(range(len(tokens)), key=lambda each: row_distance(right, each))
            effect = distance(self.expected.log_probs(tokens))
            raise Violation(
                f"log-probabilities off by up to {found:.1e} nats, at position {position} of {len(tokens)} (prompt "
                f"{prompt}); allowed {allowed:.1e}; unsteered they would be off by {effect:.1e}"
                if request.plan is not None
                else f"log-probabilities off by up to {found:.1e} nats, at position {position} of {len(tokens)} "
                f"(prompt {prompt}); allowed {allowed:.1e}",
                where=where,
                likely=likely,
            )
        self._chosen(request, completion, right[prompt - 1 :], where)

    def _chosen(self, request: Request, completion: Completion, rows: Tensor, where: str) -> None:
        """Greedy tokens are the likeliest, but for ties; drawn ones are no less likely than drawn ones are."""
        chosen = rows[torch.arange(len(completion.tokens)), list(completion.tokens)]
        if not request.temperature:
            short = float((rows.amax(-1) - chosen).amax())
            if short > 2 * self.allowed:
                raise Violation(
                    f"a token was taken that is {short:.1e} nats less likely than the likeliest",
                    where=where,
                    likely=Diagnosis(Cause.NOT_CHOSEN),
                )
            return
        heated = torch.log_softmax(rows / request.temperature, -1)
        surprise = -heated[torch.arange(len(completion.tokens)), list(completion.tokens)]
        mean = -(heated.exp() * heated).sum(-1)
        spread = float(((heated.exp() * heated.square()).sum(-1) - mean.square()).sum().clamp_min(1e-12).sqrt())
        excess = float((surprise - mean).sum())
        if excess > 5 * spread:
            raise Violation(
                f"the drawn tokens are {excess:.1f} nats less likely than they should be; one standard deviation is "
                f"{spread:.1f}",
                where=where,
                likely=Diagnosis(Cause.NOT_CHOSEN),
            )

    # How close is equal

    def check_floor(self) -> None:
        """The engine can be judged, or ``EngineError`` says why not: measured once, told each time."""
        if self._cannot is None:
            try:
                self._cannot = "" if self.floor else "nothing was measured"
            except EngineError as error:
                self._cannot = str(error)
        if self._cannot:
            raise EngineError(self._cannot)

    def measured_as(self, other: EngineHarness) -> None:
        """The floor is that of another engine of the same kind."""
        self.measured, self.floor = other.measured, other.floor

    @property
    def allowed(self) -> float:
        """By how much log-probabilities may be off, in nats."""
        return ALLOWED * self.floor

    def precision(self) -> dict[str, float]:
        """In nats: how far the unsteered engine is off, the floor taken from that, and what the least bug
        that must show does."""
        return {"apart": self.measured, "floor": self.floor, "effect": self.expected.smallest_effect[0]}

    @cached_property
    def floor(self) -> float:
        """How far the unsteered engine and the unsteered reference lie apart, in nats: measured on short prompts.

        ``EngineError`` with the figures where that is not far below what the smallest bug does.
        """
        largest, apart = 0.0, 0.0
        for seed, length in enumerate((2, 5, 9)):
            request = self.request(length, seed=20 + seed, max_new_tokens=4)
            (response,) = self.run(request)
            tokens = (*request.prompt, *response.completions[0].tokens[:-1])
            right = self.expected.log_probs(tokens)
            largest = max(largest, float(right.abs().amax()))
            parts = [(length - 1, response.completions[0].log_probs)]
            if response.prompt_log_probs is not None:
                parts.append((0, response.prompt_log_probs))
            for start, part in parts:
                for position in range(len(tokens)):
                    apart = max(apart, _apart(part, start, right, position))
        self.measured = apart
        floor = max(apart, torch.finfo(self.expected.architecture.decoder_layers[0].dtype).eps * largest)
        effect, bug = self.expected.smallest_effect
        if not effect >= APART * floor:
            raise EngineError(
                f"{self.engine.name} cannot be judged on {self.expected.target.spec}: unsteered, its log-probabilities "
                f"are off by {apart:.1e} nats, and the smallest bug that must show ({bug}) moves them by {effect:.1e}, "
                f"less than {APART} times the floor of {floor:.1e}; use a more precise dtype or no quantisation"
            )
        return floor


def _apart(part: LogProbs, start: int, other: Tensor, position: int) -> float:
    """How far one position of a response lies from other log-probabilities; 0 where it says nothing of it."""
    row = position - start
    if not 0 <= row < len(part.values):
        return 0.0
    values = part.values[row].detach().double().cpu()
    wanted = other[position] if part.ids is None else other[position][part.ids[row].cpu()]
    difference = (values - wanted[: len(values)]).abs()
    return float(difference.nan_to_num(math.inf, math.inf).amax())


def bits(responses: Sequence[Response]) -> list[Any]:
    """Everything that responses say, to be compared to the bit."""

    def of(part: LogProbs | None) -> Any:
        if part is None:
            return None
        ids = None if part.ids is None else part.ids.tolist()
        return part.values.detach().cpu().double().numpy().tobytes(), ids

    return [
        (of(each.prompt_log_probs), [(completion.tokens, of(completion.log_probs)) for completion in each.completions])
        for each in responses
    ]
