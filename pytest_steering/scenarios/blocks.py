"""In which block structure: one block or several, how they are left, and what happened before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pytest_steering.scenarios.generations import RUN
from pytest_steering.scenarios.plans import PlanOf
from pytest_steering.scenarios.prompts import Prompt
from pytest_steering.scenarios.space import Scenario, dimension
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

BLOCK = dimension("block")
ENDS = dimension("ends")
HISTORY = dimension("history")
MADE = dimension("made")


@dataclass(frozen=True)
class Draft:
    """A scenario's plan and call, of which a session is made."""

    plan: PlanOf
    call: Call
    ends: str
    history: str

    def enter(self, block: int = 0, **changes: str | int) -> Iterator[Step]:
        """A block is entered; in the first one, that which was before happens."""
        yield Enter(block, replace(self.plan, **changes))  # type: ignore[arg-type]
        if block == 0:
            yield from HISTORY.make(self.history)(self)

    def leave(self, block: int = 0) -> Leave:
        """The block is left."""
        return Leave(block, self.ends)

    def forward_pass(self, *, other: bool = False) -> Call:
        """A forward pass, where a generation would show no more."""
        return replace(self.run(other=other), run=RUN.plainest)

    def run(self, *, other: bool = False) -> Call:
        """What the scenario runs; with ``other`` on prompts of another shape."""
        call, prompt = self.call, self.call.prompt
        if not other:
            return call
        rows = "three" if prompt.rows == "two" else prompt.rows
        return replace(call, prompt=replace(prompt, rows=rows, seed=prompt.seed + 1))

    def inside(self, **changes: str | int) -> Iterator[Step]:
        """The plan's block, with a block of the changed plan inside; both are called, and then the outer one alone."""
        yield from self.enter()
        yield from self.enter(1, **changes)
        yield self.run()
        yield self.leave(1)
        yield self.run()
        yield self.leave()


def session_of(scenario: Scenario) -> Session:
    """The steps of a scenario; the last one asks the model itself, after everything."""

    def values(*names: str) -> Any:
        return {name: scenario[name] for name in names}

    prompt = Prompt(**values("rows", "tokens", "padding", "mask", "ids"))
    plan = PlanOf(**values("positions", "layers", "vectors", "scale", "only"))
    call = Call(prompt, **values("run", "decoding", "options", "arguments", "memory", "state", "thread"))
    draft = Draft(plan, call, scenario["ends"], scenario["history"])
    before = () if scenario["made"] == MADE.plainest else (Make(scenario["made"]),)
    return (*before, *BLOCK.make(scenario["block"])(draft), Call())


# Blocks


@BLOCK.value("one block")
def _one(draft: Draft) -> Iterator[Step]:
    yield from draft.enter()
    yield draft.run()
    yield draft.leave()


@BLOCK.value("two prompts in one block")
def _twice(draft: Draft) -> Iterator[Step]:
    yield from draft.enter()
    yield draft.run()
    yield draft.run(other=True)
    yield draft.leave()


@BLOCK.value("a block that is entered again")
def _again(draft: Draft) -> Iterator[Step]:
    yield from draft.enter()
    yield draft.run()
    yield draft.leave()
    vectors = "bfloat16" if draft.plan.vectors == "ordinary" else "ordinary"
    for number, changes in ((1, {}), (2, {"seed": 1}), (3, {"vectors": vectors})):
        # The same plan once more, then another one on the same prompt, then vectors of another kind.
        yield from draft.enter(number, **changes)
        yield draft.run() if number == 2 else draft.forward_pass()
        yield draft.leave(number)


@BLOCK.value("a block of nearly the same vectors after it", name="nearly", alone=True)
def _nearly(draft: Draft) -> Iterator[Step]:
    yield from draft.enter()
    yield draft.run()
    yield draft.leave()
    yield from draft.enter(1, vectors="nearly")
    yield draft.run()
    yield draft.leave(1)


@BLOCK.value("vectors that are overwritten between two blocks", name="rewritten", alone=True)
def _rewritten(draft: Draft) -> Iterator[Step]:
    new = replace(draft.plan, seed=draft.plan.seed + 1)
    yield from draft.enter()
    yield draft.run()
    yield draft.leave()
    yield Rewrite(draft.plan, new)
    yield Enter(1, new)
    yield draft.run()
    yield draft.leave(1)


@BLOCK.value("a call of what a block had yielded", name="called-after", alone=True)
def _called_after(draft: Draft) -> Iterator[Step]:
    yield from draft.enter()
    yield draft.run()
    yield draft.leave()
    yield CallAfter(0)


@BLOCK.value("a block that is entered late")
def _late(draft: Draft) -> Iterator[Step]:
    yield Prepare(0, draft.plan)
    yield draft.forward_pass()
    yield from draft.enter()
    yield draft.run()
    yield draft.leave()


_NESTED = ("NESTING",)


@BLOCK.value("a block inside a block", needs=_NESTED)
def _nested(draft: Draft) -> Iterator[Step]:
    yield from draft.inside(seed=1)


@BLOCK.value("the same plan inside itself", needs=_NESTED)
def _itself(draft: Draft) -> Iterator[Step]:
    yield from draft.inside()


@BLOCK.value("a block of other layers inside a block", needs=_NESTED)
def _other_layers(draft: Draft) -> Iterator[Step]:
    yield from draft.inside(layers="last" if draft.plan.layers != "last" else "first", seed=1)


@BLOCK.value("a block of other positions inside a block", needs=(*_NESTED, "LAST"))
def _other_positions(draft: Draft) -> Iterator[Step]:
    yield from draft.inside(positions="last" if draft.plan.positions != "last" else "all", seed=1)


@BLOCK.value("a block of other rows inside one of some rows", needs=(*_NESTED, "BATCH", "ROWS"))
def _other_rows(draft: Draft) -> Iterator[Step]:
    only, others = ("others", "first") if draft.plan.only == "others" else ("first", "others")
    yield from replace(draft, plan=replace(draft.plan, only=only)).inside(only=others, seed=1)


@BLOCK.value("three blocks inside each other", needs=_NESTED)
def _three(draft: Draft) -> Iterator[Step]:
    for number in range(3):
        yield from draft.enter(number, seed=number, scale=("one", "half", "negative")[number])
    yield draft.run()
    for number in (2, 1):
        yield draft.leave(number)
        yield draft.forward_pass()
    yield draft.leave()


@BLOCK.value("blocks that are left in the order of entering", needs=_NESTED)
def _crossed(draft: Draft) -> Iterator[Step]:
    for number in range(3):
        yield from draft.enter(number, seed=number)
    yield draft.forward_pass()
    yield draft.leave(0)
    yield draft.run()
    yield draft.leave(1)
    yield draft.forward_pass()
    yield draft.leave(2)


# How a block ends


def _how() -> None:
    """What a block is left by is told to it when it is left."""


ENDS.value("the end of the block", name="end")(_how)
ENDS.value("an exception", name="exception")(_how)
ENDS.value("Ctrl-C", name="interrupt")(_how)
ENDS.value("a closed generator", name="closed")(_how)
ENDS.value("its end in another thread", name="elsewhere", needs=("THREADS",), alone=True)(_how)

# What happened before


@HISTORY.value("nothing before it")
def _nothing(_draft: Draft) -> Iterator[Step]:
    return iter(())


@HISTORY.value("another prompt before it in the block")
def _prompt(draft: Draft) -> Iterator[Step]:
    yield draft.forward_pass(other=True)


@HISTORY.value("a generation before it in the block", needs=("GENERATE",))
def _generation(draft: Draft) -> Iterator[Step]:
    yield Call(Prompt(seed=3), "generate")


@HISTORY.value("a call in inference mode before it in the block")
def _inference(draft: Draft) -> Iterator[Step]:
    yield replace(draft.forward_pass(), state="inference")


@HISTORY.value("a plan that was refused before it")
def _refused(_draft: Draft) -> Iterator[Step]:
    yield Refuse()


@HISTORY.value("a call that fails before it in the block")
def _failed(draft: Draft) -> Iterator[Step]:
    yield Fail(Call(Prompt(seed=3)))


@HISTORY.value("a generation that fails before it in the block", needs=("GENERATE",))
def _failed_generation(draft: Draft) -> Iterator[Step]:
    yield Fail(Call(Prompt(seed=3), "generate"))


@HISTORY.value("seventy passes before it in the block", alone=True)
def _passes(draft: Draft) -> Iterator[Step]:
    for number in range(70):
        yield Call(Prompt(rows="one", tokens="two", seed=number % 2))


@HISTORY.value("seventy blocks before it", alone=True)
def _blocks(draft: Draft) -> Iterator[Step]:
    for number in range(70):
        # A block of its own inside: the plan of one that was left is thrown away, and its memory used again.
        yield Leave(0)
        if number == 35:
            yield Collect()
        yield Enter(0, replace(draft.plan, seed=number + 1))
        if number % 7 == 0:
            yield Call(Prompt(rows="one", tokens="two"))
    yield Leave(0)
    yield Enter(0, draft.plan)


def _changing(what: str, says: str, *needs: str) -> None:
    def change(_draft: Draft) -> Iterator[Step]:
        yield Change(what)

    HISTORY.value(says, name=f"{what}-inside", needs=needs, alone=True)(change)


_changing("matrices", "weights that the caller changes in the block", "TRAINING")
_changing("trains", "training mode that the caller switches on in the block", "TRAINING")
_changing("flags", "a gradient flag that the caller sets in the block", "TRAINING")
_changing("hooked", "a hook that the caller registers in the block")
_changing("config", "a config that the caller writes to in the block")

# When the adapter was made


MADE.value("an adapter made long ago", name="before")(_how)
MADE.value("an adapter made anew", name="anew")(_how)
MADE.value("an adapter made while the model is in training mode", name="in-training")(_how)
MADE.value("a model that is trained", name="trains", needs=("TRAINING",))(_how)
MADE.value("weights changed since the adapter was made", name="weights")(_how)
MADE.value("a model in a wider dtype since the adapter was made", name="widened", alone=True)(_how)
MADE.value("a forward that someone patched", name="patched", needs=("PATCHED",))(_how)
MADE.value("gradients that the caller adds up", name="accumulates", needs=("GRADIENTS",), alone=True)(_how)
