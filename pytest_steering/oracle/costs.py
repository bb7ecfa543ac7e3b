"""What steering costs on one model under one adapter: counts of steered runs beside those of unsteered ones.

The vectors are so small that adding them changes no bit: all of the work is done, and the model computes the same, so
that experts are chosen and tokens drawn as without steering.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from pytest_steering.architecture.tracing import hooked
from pytest_steering.architecture.weights import kept_elsewhere
from pytest_steering.errors import Unseen
from pytest_steering.oracle import runs
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.counting import Counted, Counts, Mark, count
from pytest_steering.oracle.generation_settings import own_settings
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.loaded import Loaded
from pytest_steering.steering.plan import Positions, SteeringPlan

_SILENT = 1e-30
"""Lost in rounding beside any number of a residual stream."""
STEPS = 3
"""Decode steps that are counted, after one that is not."""


@dataclass(frozen=True)
class Use:
    """What is run: a batch, and which of its tokens are steered."""

    positions: Positions = Positions.ALL
    padded: bool = False

    def __str__(self) -> str:
        return f"positions {self.positions}{', with padding' if self.padded else ''}"


class Costs:
    """Counts of one model under one adapter, each made once."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self._steps: dict[Any, list[Counts]] = {}
        self._passes: dict[Any, Counts] = {}

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that are steered: the default ones, or the last alone."""
        layers = self.harness.architecture.steering_layers
        return layers if self.harness.can("MULTI_LAYER") else layers[-1:]

    def uses(self) -> list[Use]:
        """Every token without padding; and every kind of positions that the adapter declares, with padding where it
        declares that."""
        padded = self.harness.can("PADDING") and self.harness.can("BATCH")
        chosen = [each for each in Positions if each is Positions.ALL or self.harness.can(each.name)]
        return list(dict.fromkeys([Use(), *(Use(positions, padded) for positions in chosen)]))

    def plan(self, layers: Sequence[int], positions: Positions = Positions.ALL) -> SteeringPlan:
        """A plan that changes no bit."""
        width = self.harness.architecture.hidden_size
        return SteeringPlan({layer: torch.full((width,), _SILENT) for layer in layers}, positions=positions)

    def residual_bytes(self, layer: int, tokens: int) -> int:
        """The size of the residual stream of so many tokens after ``layer``."""
        inputs = self.harness.prompts.batch()
        received = self.harness.unsteered.run(inputs).received(layer)
        return received.numel() * received.element_size() // self.harness.prompts.ids(inputs).numel() * tokens

    # A forward pass

    def prompt(self, use: Use = Use(), layers: Sequence[int] = (), shape: tuple[int, int] | None = None) -> Counts:
        """What a steered forward pass of a prompt costs beyond an unsteered one; ``shape`` is (rows, tokens)."""
        plan = self.plan(layers or self.layers, use.positions)
        steered, plain = self._pass(plan, use.padded, shape), self._pass(None, use.padded, shape)
        return steered.beyond(plain)

    def _pass(self, plan: SteeringPlan | None, padded: bool, shape: tuple[int, int] | None) -> Counts:
        key = plan and (tuple(plan.vectors), plan.positions), padded, shape
        if key not in self._passes:
            inputs = self.inputs(padded, shape)
            with self._call(plan) as call:
                self._passes[key] = forward(call, inputs).total
        return self._passes[key]

    def by_layer(self, plan: SteeringPlan) -> dict[int, Counts]:
        """What a steered pass costs beyond an unsteered one from the beginning of each layer to that of the next."""
        inputs, layers = self.inputs(False, None), self.harness.architecture.layers

        def spans(plan: SteeringPlan | None) -> list[tuple[Any, Counts]]:
            with self._call(plan) as call:
                return forward(call, inputs, layers).spans

        found: dict[int, Counts] = {}
        steered, plain = spans(plan), spans(None)
        if [label for label, _ in steered] != [label for label, _ in plain]:
            raise Unseen("the steered model does not run the layers that the unsteered one runs")
        for (label, counts), (_, before) in zip(steered, plain, strict=True):
            if label != "":
                found[label] = found.get(label, Counts()) + counts.beyond(before)
        # Behind the last layer is the end of the pass, where what steers may tidy up.
        return found

    # A generation

    def steps(self, use: Use) -> list[Counts]:
        """What each steered decode step of a generation costs beyond an unsteered one."""
        return [one.beyond(other) for one, other in zip(*self._both(use), strict=True)]

    def repeated(self, use: Use) -> Counter[str]:
        """By name, the operations that a steered decode step makes anew and that no token has a part in."""
        if kept_elsewhere(self.harness.model):
            not_applicable(
                "the model brings in its own weights for each pass: what is made anew beside them is not told"
            )
        steered, plain = (_repeated(steps) for steps in self._both(use))
        return steered - plain

    def _both(self, use: Use) -> tuple[list[Counts], list[Counts]]:
        return self._generation(self.plan(self.layers, use.positions), use.padded), self._generation(None, use.padded)

    def _generation(self, plan: SteeringPlan | None, padded: bool) -> list[Counts]:
        key = plan and plan.positions, padded
        if key not in self._steps:
            self._steps[key] = self._counted_steps(plan, padded)
        return self._steps[key]

    def need_repeatable(self) -> None:
        """Two unsteered runs of the same tokens cost the same, or no steered one can be compared with either."""
        inputs = self.inputs(False, None)
        with self._call(None) as call:
            passes = [[forward(call, inputs).total] for _ in range(2)]
        if _unlike(*passes):
            not_applicable("two unsteered forward passes of the same tokens do not cost the same")
        if self.harness.can("GENERATE") and _unlike(*(self._counted_steps(None, False) for _ in range(2))):
            not_applicable("two unsteered generations of the same tokens do not cost the same")

    def _counted_steps(self, plan: SteeringPlan | None, padded: bool) -> list[Counts]:
        harness, inputs = self.harness, self.inputs(padded, None)
        new = STEPS + 2
        options = {
            "do_sample": False,
            "max_new_tokens": new,
            "min_new_tokens": new,
            "pad_token_id": harness.target.pad_token_id,
        }
        with own_settings(harness.model), self._call(plan) as call:

            def run(mark: Mark) -> None:
                call.generate(**inputs, **options, logits_processor=_ticking(mark))

            run(_silent)
            spans = count(run, inputs.values()).spans
        if len(spans) != new + 1:
            not_applicable("generation cannot be counted step by step: it ignores logits processors")
        return [counts for _, counts in spans[2:-1]]

    def inputs(self, padded: bool = False, shape: tuple[int, int] | None = None) -> Mapping[str, Tensor]:
        """The batch that is run."""
        prompts = self.harness.prompts
        if padded:
            return prompts.padded("left", numbered=False)
        if shape is not None:
            return prompts.batch(*shape)
        return prompts.batch(None if self.harness.can("BATCH") else 1)

    @contextmanager
    def _call(self, plan: SteeringPlan | None) -> Any:
        with ExitStack() as stack:
            call = self.harness.model if plan is None else stack.enter_context(self.harness.steering(plan))
            stack.enter_context(self.harness.running())
            yield call


@dataclass(frozen=True)
class Idle:
    """What one forward pass and one generation of a model cost while no adapter steers."""

    forward: Counts
    modules: int

    @classmethod
    def of(cls, loaded: Loaded) -> Self:
        """Counted now."""
        target = loaded.target
        with runs.running(target):
            counted = forward(target.model, loaded.unsteered.prompts.batch())
        return cls(counted.total, sum(1 for _ in target.model.modules()))


def forward(call: Any, inputs: Mapping[str, Tensor], layers: Sequence[torch.nn.Module] = ()) -> Counted:
    """One forward pass, counted; with ``layers``, from the beginning of each to that of the next.

    Once before it counts, the pass is run: what an adapter prepares at its first is not counted.
    """

    def run(mark: Mark) -> None:
        with ExitStack() as stack:
            for number, layer in enumerate(layers):
                hook = layer.register_forward_pre_hook(lambda _module, _args, number=number: mark(number))
                stack.enter_context(hooked(hook))
            call(**inputs)

    run(_silent)
    return count(run, inputs.values())


def _silent(_label: Any) -> None:
    """No span begins."""


def _ticking(mark: Mark) -> Any:
    """A logits processor that begins a span with each new token."""

    def tick(_ids: Tensor, scores: Tensor) -> Tensor:
        mark("step")
        return scores

    return LogitsProcessorList([tick])


def _repeated(steps: list[Counts]) -> Counter[str]:
    """The fewest, over all pairs of neighbouring steps, of the constant operations that both make."""
    least: Counter[str] | None = None
    for one, other in pairwise(steps):
        names: Counter[str] = Counter()
        for recipe, times in (one.constant & other.constant).items():
            names[recipe.name] += times
        least = names if least is None else least & names
    return least or Counter()


def _unlike(one: list[Counts], other: list[Counts]) -> bool:
    return [each.figures() for each in one] != [each.figures() for each in other]
