"""A session is played, by whoever steers it, and everything is seen that can be compared."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.architecture.compiled import eager
from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.observation import Trace, everywhere, observe
from pytest_steering.architecture.tracing import hooked
from pytest_steering.architecture.weights import is_sharded
from pytest_steering.errors import one_line
from pytest_steering.oracle.generation_settings import own_settings
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.store import Store
from pytest_steering.scenarios.asking import asks
from pytest_steering.scenarios.calls import tensors_of
from pytest_steering.scenarios.making import Changes
from pytest_steering.scenarios.neighbour import Neighbour
from pytest_steering.scenarios.plans import PlanOf, made
from pytest_steering.scenarios.prompts import Unfit
from pytest_steering.scenarios.seen import Called, Played, Seen
from pytest_steering.scenarios.states import STATE, THREAD, loss_of
from pytest_steering.scenarios.steerers import Broken, ByAdapter, Steerer
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
from pytest_steering.steering.plan import SteeringPlan

SEED = 1234
_LARGEST = 4 * 2**20
"""Elements of a parameter for whose gradient is asked."""


def play(harness: Harness, session: Session, steerer: Steerer, *, kept: Store[Called] | None = None) -> Played:
    """Every step of the session, until one cannot be taken.

    What a call does under the reference implementation depends on the call and the open plans alone: with ``kept``
    each is run once. What the session leaves behind is then not looked at.
    """
    if any(isinstance(step, Call) and step.thread == "beside" for step in session) and not harness.neighbour:
        try:
            # Before a block is open: what is open would be copied.
            harness.neighbour = Neighbour(harness)
        except Unfit as error:
            return Played([], unfit=str(error))
    return _Play(harness, steerer, kept).all(session)


class _Play:
    """A session while it is played."""

    def __init__(self, harness: Harness, steerer: Steerer, kept: Store[Called] | None) -> None:
        self._harness = harness
        self._steerer = steerer
        self._kept = kept
        self._played = Played([])
        self._blocks: dict[int, SteeringPlan] = {}
        self._open: dict[int, PlanOf] = {}
        self._plans: dict[PlanOf, SteeringPlan] = {}
        self._left: dict[PlanOf, SteeringPlan] = {}
        """Those of the blocks that were left last."""
        self._changes = Changes(harness, steerer.make, self._played.odd, watched=kept is None)

    def all(self, session: Session) -> Played:
        """The steps, one after the other."""
        self._played.changes = self._changes
        with self._changes:
            try:
                for number, step in enumerate(session):
                    if not self._take(number, step):
                        break
            except Unfit as error:
                self._played.unfit = str(error)
            finally:
                self._steerer.close()
        return self._played

    def _take(self, number: int, step: Step) -> bool:
        """One step; false when the session cannot go on after it."""
        match step:
            case Make(how):
                self._changes.make(how)
            case Change(what):
                self._changes.change(what)
            case Prepare(block, plan):
                self._steerer.prepare(block, self._plan(plan))
            case Enter(block, plan):
                self._blocks.pop(block, None)
                self._open.pop(block, None)
                self._blocks[block], self._open[block] = self._plan(plan), plan
                try:
                    self._steerer.enter(block, self._blocks[block])
                except Exception as error:
                    self._odd(number, f"entering the block raises {one_line(error)}")
                    return False
            case Leave(block, by):
                del self._blocks[block], self._open[block]
                if not self._blocks:
                    self._left, self._plans = self._plans, {}
                try:
                    odd = self._steerer.leave(block, by)
                except Exception as error:
                    odd = f"leaving the block raises {one_line(error)}"
                if odd:
                    self._odd(number, odd)
            case Call():
                return self._call(number, step)
            case Fail():
                return self._fail(number, step)
            case CallAfter(block):
                self._steerer.call_after(block)
            case Rewrite(old, new):
                self._rewrite(old, new)
            case Refuse():
                if odd := self._steerer.refused(_too_long(self._harness)):
                    self._odd(number, odd)
            case Collect():
                gc.collect()
        return True

    def _plan(self, plan: PlanOf) -> SteeringPlan:
        """The same plan is the same object, as long as a block is open."""
        if plan not in self._plans:
            self._plans[plan] = made(self._harness, plan)
        return self._plans[plan]

    def _rewrite(self, old: PlanOf, new: PlanOf) -> None:
        """The next block of the new plan has the very tensors of the old one."""
        wanted, kept = made(self._harness, new), self._left.get(old)
        if kept is None:
            raise Unfit("no block of this plan was left before")
        for layer, vector in wanted.vectors.items():
            try:
                kept.vectors[layer].data.copy_(vector)
            except RuntimeError as error:
                raise Unfit(f"the vectors cannot be overwritten: {one_line(error)}") from None
        self._plans[new] = replace(wanted, vectors=kept.vectors)

    def _odd(self, number: int, what: str) -> None:
        self._played.odd.append(f"step {number + 1}: {what}")

    def _fail(self, number: int, step: Fail) -> bool:
        if any(map(is_sharded, self._harness.model.modules())):
            raise Unfit("FSDP2 itself does not go on after a pass that fails")
        with _breaking(self._harness, 1 if step.call.run == "forward" else 2):
            self._call(number, step)
        seen = self._played.seen[-1]
        if not seen.error.startswith(Broken.__name__):
            self._odd(number, f"an exception of the caller's becomes {seen.error or 'nothing: it is swallowed'}")
            return False
        seen.error = ""
        seen.trace = Trace([])
        return True

    def _call(self, number: int, step: Call | Fail) -> bool:
        called = self._called(step)
        for seen in called.seen:
            self._played.seen.append(replace(seen, step=number, plans=tuple(self._blocks.values())))
        if called.unfit:
            raise Unfit(called.unfit)
        return not called.seen[-1].error

    def _called(self, step: Call | Fail) -> Called:
        """The call's asks, or what is kept of them."""
        if self._kept is None:
            return self._played_call(step)
        key = step, tuple(self._open.values()), self._changes.computes
        return self._kept.once(key, lambda: self._played_call(step))

    def _played_call(self, step: Call | Fail) -> Called:
        called = Called()
        try:
            self._run(step.call if isinstance(step, Fail) else step, called.seen)
        except Unfit as error:
            called.unfit = str(error)
        except Exception as error:
            if isinstance(self._steerer, ByAdapter):
                raise
            # The suite's own tools fail on the model: no adapter is to blame.
            called.unfit = f"it cannot be asked of this model: {one_line(error)}"
        return called

    def _run(self, step: Call, seen: list[Seen]) -> None:
        todo = asks(self._harness, step)
        ask = next(todo)
        while True:
            now = Seen(ask, tuple(self._blocks.values()))
            seen.append(now)
            output = THREAD.make(step.thread)(
                self._harness, lambda now=now: self._ask(step, now), steered=isinstance(self._steerer, ByAdapter)
            )
            if now.error:
                return
            try:
                ask = todo.send(output)
            except StopIteration:
                return
            except Unfit:
                raise
            except Exception as error:  # what was returned cannot be gone on from
                now.error = one_line(error)
                return

    def _ask(self, step: Call, now: Seen) -> Any:
        ask = now.ask
        torch.default_generator.manual_seed(SEED)
        try:
            model = self._harness.model
            own = own_settings(model) if ask.generates else nullcontext()
            with (
                eager(model),
                own,
                STATE.make(step.state)(self._harness),
                self._steerer.call(self._blocks, ask) as target,
            ):
                run: Callable[..., Any] = target.generate if ask.generates else target
                now.trace = observe(
                    self._harness.architecture,
                    self._harness.architecture.every_layer,
                    lambda: run(*ask.args, **ask.kwargs),
                    inside=self._steerer.watched_inside,
                )
                now.tensors = tensors_of(now.trace.result)
                if step.state == "gradients" and not ask.generates:
                    now.gradients = _gradients(self._harness, now)
                now.wants = frozenset(name for name, tensor in now.tensors.items() if tensor.requires_grad)
                now.tensors = {name: tensor.detach() for name, tensor in now.tensors.items()}
        except Unfit:
            raise
        except Exception as error:
            now.error = one_line(error)
            return None
        now.random = torch.get_rng_state()
        given: dict[Any, Any] = {**dict(enumerate(ask.args)), **ask.kwargs}
        now.inputs = {str(name): value.clone() for name, value in given.items() if isinstance(value, Tensor)}
        output, now.trace.result = now.trace.result, None
        return output


def _too_long(harness: Harness) -> SteeringPlan:
    """Every default layer is steered, the last of them by a vector with an element too many."""
    *layers, last = harness.architecture.steering_layers
    vectors = {layer: harness.plans.vector(layer) for layer in layers}
    return SteeringPlan({**vectors, last: torch.ones(harness.architecture.hidden_size + 1)})


def _gradients(harness: Harness, now: Seen) -> list[Tensor | None]:
    """What a loss changes with: each vector that asks for gradients, and the model's first and last parameters, whose
    gradients are as large as they are: the largest are left out."""
    vectors = [vector for plan in now.plans for vector in plan.vectors.values()]
    parameters = [parameter for parameter in harness.model.parameters() if parameter.numel() <= _LARGEST]
    asked = [*vectors, *parameters[:2], *parameters[-1:]]
    wanted = [tensor for tensor in asked if tensor.requires_grad]
    loss = loss_of(now.tensors)
    if loss is None or not (wanted and loss.requires_grad):
        return [None] * len(asked)
    found = iter(torch.autograd.grad(loss, wanted, allow_unused=True, retain_graph=now.ask.goes_on))
    return [next(found) if tensor.requires_grad else None for tensor in asked]


@contextmanager
def _breaking(harness: Harness, at: int) -> Iterator[None]:
    """The last decoder layer raises when it is run for this time."""
    runs = 0

    def broken(_module: nn.Module, _args: Any) -> None:
        nonlocal runs
        runs += 1
        if runs == at:
            raise Broken("raised in the middle of a pass")

    def breaks(architecture: Architecture) -> AbstractContextManager[None]:
        return hooked(architecture.layers[-1].register_forward_pre_hook(broken))

    with everywhere(harness.architecture, breaks):
        yield
