"""A behaviour that a trained model has, a direction that was made for it, and random directions beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from statistics import mean, stdev
from typing import Any

from torch import Tensor

from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.inputs import zero_mean
from pytest_steering.oracle.reference import deltas_of, reference
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.suite.encoding import PromptError
from pytest_steering.suite.forced_choice import forced_choice
from pytest_steering.suite.paired_prompts import PairedPrompt, paired_prompts
from pytest_steering.vectors import train_from_texts

CONTROLS = 19
"""Random directions: the fewest among which to be first has a chance of one in twenty."""

RELATIVE_NORM = 0.25
"""The norm of a vector beside that of the residual stream: well within the range where the effect grows with it."""

_BUILD = 5
_FEW = 2
_CHANCE = 0.01
_FEWEST = 3
"""Scenarios below which an interval says nothing."""


class Behaviour:
    """Answers yes or no to whether a piece of code is vulnerable, of a model that tells vulnerable from patched code.

    The pairs are the project's own (``fixtures/mini_cwe``): of each CWE some train the direction, by difference in
    means at the end of the prompt, and others are asked about.
    """

    def __init__(self, harness: Harness) -> None:
        """Nothing is asked yet."""
        self.harness = harness
        of_each: dict[str, list[PairedPrompt]] = {}
        for pair in paired_prompts(harness.target.tokenizer):
            of_each.setdefault(pair.cwe, []).append(pair)
        self._build = [pair for pairs in of_each.values() for pair in pairs[:_BUILD]]
        self._held_out = [pair for pairs in of_each.values() for pair in pairs[_BUILD:]]
        self._few = [pair for pairs in of_each.values() for pair in pairs[_BUILD : _BUILD + _FEW]]

    @property
    def lacking(self) -> str:
        """Why there is none: the model cannot be asked, or does not tell vulnerable from patched code."""
        return self._told[0]

    def need(self) -> None:
        """The model has the behaviour, or the requirement is not applicable to it."""
        if self.lacking:
            not_applicable(self.lacking)

    @cached_property
    def direction(self) -> dict[int, Tensor]:
        """The trained direction of each layer, of that relative norm: it points to " yes"."""
        trained = train_from_texts(
            self.harness.model,
            self.harness.architecture,
            self.harness.target.tokenizer,
            [pair.sides for pair in self._build],
            layers=self._layers,
        )
        return self._sized(trained)

    def random(self, number: int) -> dict[int, Tensor]:
        """Random directions of the same norm, one for each layer."""
        width = self.harness.architecture.hidden_size
        return self._sized({layer: zero_mean(width, 7919 * number + layer) for layer in self._layers})

    def effect(self, call: Any) -> float:
        """How far ``call`` moves ``logp(yes) - logp(no)`` from the unsteered model's, in nats, on average."""
        return mean(self._moves(call, self._few))

    def effects(self, call: Any) -> dict[str, list[float]]:
        """The same by weakness, for every pair that trains nothing."""
        found: dict[str, list[float]] = {}
        for pair, moved in zip(self._held_out, self._moves(call, self._held_out), strict=True):
            found.setdefault(pair.cwe, []).append(moved)
        return found

    def expected(self, plan: SteeringPlan) -> float:
        """The effect of this plan by the reference implementation."""
        with self._reference(plan):
            return self.effect(self.harness.model)

    def expected_effects(self, plan: SteeringPlan) -> dict[str, list[float]]:
        """The same by weakness."""
        with self._reference(plan):
            return self.effects(self.harness.model)

    @contextmanager
    def _reference(self, plan: SteeringPlan) -> Iterator[None]:
        deltas = deltas_of(plan)
        with self.harness.running(), reference(self.harness.architecture, deltas):
            yield

    def _moves(self, call: Any, pairs: list[PairedPrompt]) -> list[float]:
        """How far the answers about each pair move, on average over its two sides."""
        answers, (_, unsteered) = self._asked(call, pairs), self._told
        return [float((answers[index] - unsteered[pair]).mean()) for index, pair in enumerate(pairs)]

    @property
    def _layers(self) -> tuple[int, ...]:
        layers = self.harness.architecture.steering_layers
        return layers if self.harness.can("MULTI_LAYER") else layers[-1:]

    @cached_property
    def _told(self) -> tuple[str, dict[PairedPrompt, Tensor]]:
        """Why there is no such behaviour, and the unsteered answers about each pair that trains nothing."""
        try:
            answers = self._asked(self.harness.model, self._held_out)
        except PromptError as error:
            return f"the model cannot be asked: {error}", {}
        lacking = ""
        right = int((answers[:, 0] > answers[:, 1]).sum())
        if _at_least(right, len(answers)) > _CHANCE:
            lacking = (
                f"the model does not tell vulnerable from patched code: {right} of {len(answers)} pairs, as by chance"
            )
        return lacking, dict(zip(self._held_out, answers, strict=True))

    def _asked(self, call: Any, pairs: list[PairedPrompt]) -> Tensor:
        """The answers about each pair, the vulnerable side first: ``(pairs, 2)``."""
        prompts = [prompt for pair in pairs for prompt in pair.sides]
        target = self.harness.target
        answers = forced_choice(call, target.tokenizer, prompts, batch_size=8, device=target.device, model=target.model)
        return answers.reshape(-1, 2)

    def _sized(self, vectors: Mapping[int, Tensor]) -> dict[int, Tensor]:
        width, size_of = self.harness.architecture.hidden_size, self.harness.unsteered.residual_size
        return {
            layer: vector / vector.norm() * (RELATIVE_NORM * size_of(layer) * math.sqrt(width))
            for layer, vector in vectors.items()
        }


def _at_least(right: int, of: int) -> float:
    """The chance that as many or more of so many coins fall right."""
    return sum(math.comb(of, k) for k in range(right, of + 1)) / 2.0**of


@dataclass(frozen=True)
class Interval:
    """A mean in nats with its 95% t interval over scenarios; of fewer than three scenarios nothing can be said."""

    estimate: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """The interval of the mean of ``values``; without bounds (infinite ones) where there are fewer than three."""
        from scipy import stats  # noqa: PLC0415 (an optional package)

        if len(values) < _FEWEST:
            return cls(mean(values), -math.inf, math.inf)
        estimate = mean(values)
        half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
        return cls(estimate, estimate - float(half), estimate + float(half))

    @property
    def excludes_zero(self) -> bool:
        """The whole interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.estimate:+.3g} [{self.low:+.3g}, {self.high:+.3g}] (95% t interval)"


@dataclass(frozen=True)
class Effect:
    """The mean effect in one CWE."""

    found: Interval
    wanted: Interval
    """The same by the reference implementation."""

    @classmethod
    def of(cls, found: Sequence[float], wanted: Sequence[float]) -> Effect:
        """The effects on each scenario, found and wanted."""
        return cls(Interval.of(found), Interval.of(wanted))

    def as_wanted(self, slack: float) -> bool:
        """What is found lies in the interval of what is wanted, or no more than ``slack`` nats beside it."""
        return self.wanted.low - slack <= self.found.estimate <= self.wanted.high + slack


def by_name(effects: Mapping[str, Effect]) -> dict[str, dict[str, Any]]:
    """The effects as the report carries them: ``nats``, ``low``, ``high``, and the reference implementation's."""
    return {
        name: {
            "nats": effect.found.estimate,
            "low": effect.found.low if math.isfinite(effect.found.low) else None,
            "high": effect.found.high if math.isfinite(effect.found.high) else None,
            "second_mechanism": effect.wanted.estimate,
        }
        for name, effect in effects.items()
    }
