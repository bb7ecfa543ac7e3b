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
from pytest_steering.suite.contrasts import Contrast, Pair, Weaknesses, plain, told, train
from pytest_steering.suite.encoding import PromptError

CONTROLS = 19
"""Random directions: the fewest among which to be first has a chance of one in twenty."""

RELATIVE_NORM = 0.25
"""The norm of a vector beside that of the residual stream: well within the range where the effect grows with it."""

_FEWEST = 3
"""Scenarios below which an interval says nothing."""


class Behaviour:
    """What a trained model can do: the first contrast that it tells apart, unsteered, by its own log-probabilities.

    Some pairs train a direction, by difference in means at the end of the prompt, and others are asked about.
    """

    def __init__(self, harness: Harness, contrasts: Sequence[Contrast] | None = None) -> None:
        """Nothing is asked yet. Without ``contrasts``: the plain ones, and then the embedded pairs of code."""
        self.harness = harness
        self._contrasts = contrasts

    @property
    def lacking(self) -> str:
        """Why there is none: the model cannot be asked, or tells none of the contrasts apart; with the figures."""
        return "" if isinstance(self._found, _Told) else self._found

    def need(self) -> None:
        """The model has a behaviour, or the requirement is not applicable to it."""
        if self.lacking:
            not_applicable(self.lacking)

    @property
    def name(self) -> str:
        """What the model tells apart."""
        return self._told.contrast.name

    @cached_property
    def direction(self) -> dict[int, Tensor]:
        """The trained direction of each layer, of that relative norm: it points to the first side of the pairs."""
        return self._sized(train(self.harness, self._told.contrast, self._layers))

    def random(self, number: int) -> dict[int, Tensor]:
        """Random directions of the same norm, one for each layer."""
        width = self.harness.architecture.hidden_size
        return self._sized({layer: zero_mean(width, 7919 * number + layer) for layer in self._layers})

    def effect(self, call: Any) -> float:
        """How far ``call`` moves the first answer beside the second from the unsteered model's, in nats, on average."""
        return mean(self.moves(call, self._told.contrast.few))

    def expected(self, plan: SteeringPlan) -> float:
        """The effect of this plan by the reference implementation."""
        with self.reference(plan):
            return self.effect(self.harness.model)

    @contextmanager
    def reference(self, plan: SteeringPlan) -> Iterator[None]:
        """The model is steered by the reference implementation."""
        deltas = deltas_of(plan)
        with self.harness.running(), reference(self.harness.architecture, deltas):
            yield

    def moves(self, call: Any, pairs: Sequence[Pair]) -> list[float]:
        """How far the answers about each pair move, on average over its two sides and over the wordings."""
        told = self._told
        answers = told.contrast.answers(self.harness, call, pairs)
        return [float((answers[index] - told.answers[pair]).mean()) for index, pair in enumerate(pairs)]

    @property
    def _layers(self) -> tuple[int, ...]:
        layers = self.harness.architecture.steering_layers
        return layers if self.harness.can("MULTI_LAYER") else layers[-1:]

    @property
    def _told(self) -> _Told:
        assert isinstance(self._found, _Told)
        return self._found

    @cached_property
    def _found(self) -> _Told | str:
        tokenizer = self.harness.target.tokenizer
        tried = []
        try:
            contrasts = self._contrasts or (*plain(), Weaknesses(tokenizer))
        except PromptError as error:
            return f"the model cannot be asked: {error}"
        for contrast in contrasts:
            try:
                lacking, answers = told(self.harness, contrast)
            except PromptError as error:
                lacking, answers = str(error), {}
            if not lacking:
                return _Told(contrast, answers)
            tried.append(f"{contrast.name} ({lacking})")
        return f"the model does not tell apart, by its log-probabilities, {'; '.join(tried)}"

    def _sized(self, vectors: Mapping[int, Tensor]) -> dict[int, Tensor]:
        width, size_of = self.harness.architecture.hidden_size, self.harness.unsteered.residual_size
        return {
            layer: vector / vector.norm() * (RELATIVE_NORM * size_of(layer) * math.sqrt(width))
            for layer, vector in vectors.items()
        }


@dataclass(frozen=True)
class _Told:
    """A contrast that the unsteered model tells apart, and its answers about each pair that trains nothing."""

    contrast: Contrast
    answers: dict[Pair, Tensor]


class WeaknessBehaviour(Behaviour):
    """Whether a piece of code is vulnerable, asked of a model that tells vulnerable from patched code."""

    def __init__(self, harness: Harness) -> None:
        """Nothing is asked yet."""
        self._weaknesses = Weaknesses(harness.target.tokenizer)
        super().__init__(harness, (self._weaknesses,))

    def effects(self, call: Any) -> dict[str, list[float]]:
        """How far ``call`` moves the answers, by weakness, for every pair that trains nothing."""
        moved = self.moves(call, self._weaknesses.held_out)
        found: dict[str, list[float]] = {}
        for cwe, each in zip(self._weaknesses.cwes, moved, strict=True):
            found.setdefault(cwe, []).append(each)
        return found

    def expected_effects(self, plan: SteeringPlan) -> dict[str, list[float]]:
        """The same by the reference implementation."""
        with self.reference(plan):
            return self.effects(self.harness.model)


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
