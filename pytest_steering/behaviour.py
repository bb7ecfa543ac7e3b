"""A behaviour that a trained model has, a direction that was made for it, and random directions beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from statistics import mean
from typing import Any

from torch import Tensor

from pytest_steering.applicability import not_applicable
from pytest_steering.evaluation.choice import forced_choice
from pytest_steering.evaluation.encoding import PromptError
from pytest_steering.evaluation.scenarios import Pair, Part, embedded_root, load_secllmholmes
from pytest_steering.evaluation.styles import STYLES, render
from pytest_steering.inputs import zero_mean
from pytest_steering.oracle import reference
from pytest_steering.plan import SteeringPlan
from pytest_steering.trial import Trial
from pytest_steering.vectors import train_from_texts

CONTROLS = 19
"""Random directions: the fewest among which to be first has a chance of one in twenty."""

DOSE = 0.25
"""The norm of a vector beside that of the residual stream: well within the range where the effect grows with it."""

_BUILD = 5
_FEW = 2
_CHANCE = 0.01


def behaviour_of(trial: Trial) -> Behaviour:
    """The behaviour of the trial's model, looked into once, or not applicable where it has none."""
    behaviour: Behaviour = trial.kept.get("behaviour") or Behaviour(trial)
    trial.kept["behaviour"] = behaviour
    if behaviour.lacking:
        not_applicable(behaviour.lacking)
    return behaviour


class Behaviour:
    """Answers yes or no to whether a piece of code is vulnerable, of a model that tells vulnerable from patched code.

    The pairs are the project's own (``fixtures/mini_cwe``): of each CWE some train the direction, by difference in
    means at the end of the prompt, and others are asked about.
    """

    def __init__(self, trial: Trial) -> None:
        """The model is asked about pairs that no direction is trained from."""
        self.trial = trial
        dataset = load_secllmholmes(embedded_root(), parts={Part.HAND_CRAFTED})
        of_each: dict[str, list[Pair]] = {}
        for pair in dataset.pairs:
            of_each.setdefault(pair.cwe, []).append(pair)
        self._build = [pair for pairs in of_each.values() for pair in pairs[:_BUILD]]
        self._held_out = [pair for pairs in of_each.values() for pair in pairs[_BUILD:]]
        self._few = [pair for pairs in of_each.values() for pair in pairs[_BUILD : _BUILD + _FEW]]
        self.lacking = ""
        """Why there is none: the model cannot be asked, or does not tell vulnerable from patched code."""
        self._unsteered = self._told()

    @cached_property
    def direction(self) -> dict[int, Tensor]:
        """The trained direction of each layer, a vector of the dose's norm: it points to " yes"."""
        trained = train_from_texts(
            self.trial.model,
            self.trial.architecture,
            self.trial.target.tokenizer,
            [self._prompts(pair) for pair in self._build],
            layers=self._layers,
        )
        return self._sized(trained)

    def random(self, number: int) -> dict[int, Tensor]:
        """Random directions of the same norm, one for each layer."""
        width = self.trial.architecture.hidden_size
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
        """The effect of this plan by the oracle's own mechanism."""
        with self._reference(plan):
            return self.effect(self.trial.model)

    def expected_effects(self, plan: SteeringPlan) -> dict[str, list[float]]:
        """The same by weakness."""
        with self._reference(plan):
            return self.effects(self.trial.model)

    @contextmanager
    def _reference(self, plan: SteeringPlan) -> Iterator[None]:
        deltas = self.trial.deltas(plan)
        with self.trial.running(), reference(self.trial.architecture, deltas):
            yield

    def _moves(self, call: Any, pairs: list[Pair]) -> list[float]:
        """How far the answers about each pair move, on average over its two sides."""
        answers = self._asked(call, pairs)
        return [
            float((answers[index] - self._unsteered[pair.vulnerable.name]).mean()) for index, pair in enumerate(pairs)
        ]

    @property
    def _layers(self) -> tuple[int, ...]:
        layers = self.trial.architecture.steering_layers
        return layers if self.trial.can("MULTI_LAYER") else layers[-1:]

    def _told(self) -> dict[str, Tensor]:
        """The unsteered answers about each pair that trains nothing."""
        try:
            answers = self._asked(self.trial.model, self._held_out)
        except PromptError as error:
            self.lacking = f"the model cannot be asked: {error}"
            return {}
        right = int((answers[:, 0] > answers[:, 1]).sum())
        if _at_least(right, len(answers)) > _CHANCE:
            self.lacking = (
                f"the model does not tell vulnerable from patched code: {right} of {len(answers)} pairs, as by chance"
            )
        return {pair.vulnerable.name: answer for pair, answer in zip(self._held_out, answers, strict=True)}

    def _asked(self, call: Any, pairs: list[Pair]) -> Tensor:
        """The answers about each pair, the vulnerable side first: ``(pairs, 2)``."""
        prompts = [prompt for pair in pairs for prompt in self._prompts(pair)]
        target = self.trial.target
        return forced_choice(call, target.tokenizer, prompts, batch_size=8, device=target.device).reshape(-1, 2)

    def _prompts(self, pair: Pair) -> tuple[str, str]:
        tokenizer = self.trial.target.tokenizer
        return (
            render(STYLES["S1"], pair.vulnerable, tokenizer=tokenizer),
            render(STYLES["S1"], pair.patched, tokenizer=tokenizer),
        )

    def _sized(self, vectors: Mapping[int, Tensor]) -> dict[int, Tensor]:
        width = self.trial.architecture.hidden_size
        return {
            layer: vector / vector.norm() * (DOSE * self.trial.residual_size(layer) * math.sqrt(width))
            for layer, vector in vectors.items()
        }


def _at_least(right: int, of: int) -> float:
    """The chance that as many or more of so many coins fall right."""
    return sum(math.comb(of, k) for k in range(right, of + 1)) / 2.0**of
