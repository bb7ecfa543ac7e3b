"""The model on the bench: asked, steered at relative doses, and measured, one fold at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.errors import TargetError
from pytest_steering.evaluation.config import ExperimentError, UniversalSteeringConfig
from pytest_steering.evaluation.divergence import next_token_log_probabilities, residual_norms
from pytest_steering.evaluation.folds import Fold
from pytest_steering.evaluation.scenarios import Case, Dataset
from pytest_steering.evaluation.statistics import by_scenario
from pytest_steering.evaluation.styles import STYLES, render, shots_for
from pytest_steering.steering.plan import Positions, SteeringPlan
from pytest_steering.suite.encoding import prompt_ids
from pytest_steering.suite.forced_choice import forced_choice, generate_answers
from pytest_steering.targets.target import Target
from pytest_steering.vectors import train_from_texts

Answers = dict[str, dict[str, list[float]]]
"""By style, under ``vulnerable`` and ``patched``, one number per pair: nats towards "vulnerable"."""


@dataclass(frozen=True, eq=False)
class Bench:
    """A loaded model, its adapter, and what it is asked."""

    target: Target
    adapter: SteeringAdapter
    dataset: Dataset
    config: UniversalSteeringConfig
    layers: tuple[int, ...]
    batch_size: int

    @cached_property
    def trained_layers(self) -> tuple[int, ...]:
        """The layers that get a vector: all where each is also steered alone."""
        return tuple(range(self.target.architecture.num_layers)) if self.config.scan_layers else self.layers

    def prompt(self, style: str, case: Case) -> str:
        """What is asked about one file."""
        chosen = STYLES[style]
        return render(chosen, case, shots=shots_for(chosen, case, self.dataset), tokenizer=self.target.tokenizer)

    def training_texts(self, fold: Fold) -> list[tuple[str, str]]:
        """The prompts that build the fold's vector, vulnerable first, in every style."""
        return [
            (self.prompt(style, pair.vulnerable), self.prompt(style, pair.patched))
            for style in self.config.styles
            for pair in fold.build
        ]

    def train(self, fold: Fold) -> dict[int, Tensor]:
        """The fold's vectors, which point from patched to vulnerable at the answer position."""
        vectors = self.between(self.training_texts(fold), self.trained_layers)
        for layer in self.layers:
            if not bool(vectors[layer].any()):
                raise ExperimentError(
                    f"{fold.name}: the vector of layer {layer} is zero, because vulnerable and patched prompts give "
                    "the same state there; steer later layers, or use another style"
                )
        return {layer: vector.cpu() for layer, vector in vectors.items()}

    def between(self, texts: Sequence[tuple[str, str]], layers: Sequence[int]) -> dict[int, Tensor]:
        """The vectors that point from the second text of each pair to the first, at the answer position."""
        return train_from_texts(
            self.target.model,
            self.target.architecture,
            self.target.tokenizer,
            texts,
            layers=layers,
            method=self.config.method,
            batch_size=self.batch_size,
        )

    def norms(self, fold: Fold) -> dict[int, float]:
        """The residual stream's mean norm after each trained layer, over the prompts that build the vector."""
        prompts = [prompt for texts in self.training_texts(fold) for prompt in texts]
        return residual_norms(
            self.target.model,
            self.target.architecture,
            self.target.tokenizer,
            prompts,
            layers=self.trained_layers,
            batch_size=self.batch_size,
        )

    @contextmanager
    def steered(self, vectors: Mapping[int, Tensor] | None, scale: float = 1.0) -> Iterator[Any]:
        """The model steered by these vectors, or as it is."""
        if vectors is None:
            yield self.target.model
            return
        placed = {layer: vector.to(self.target.device) for layer, vector in vectors.items()}
        with self.adapter.steer(SteeringPlan(placed, scale, Positions(self.config.positions))) as call:
            yield call

    def answers(self, call: Any, fold: Fold) -> Answers:
        """The forced choice about every tested file."""
        found: Answers = {}
        for style in self.config.styles:
            values = forced_choice(call, **self._asked(style, fold))
            found[style] = {"vulnerable": values[0::2].tolist(), "patched": values[1::2].tolist()}
        return found

    def log_probabilities(self, call: Any, fold: Fold) -> list[Tensor]:
        """The next-token distribution after every prompt, by style: ``(prompts, vocabulary)`` each."""
        return [next_token_log_probabilities(call, **self._asked(style, fold)) for style in self.config.styles]

    def texts(self, call: Any, fold: Fold) -> list[str]:
        """What the model writes about every tested file, in the first style."""
        asked = self._asked(self.config.styles[0], fold)
        return generate_answers(call, **asked, max_new_tokens=self.config.max_new_tokens)

    def _asked(self, style: str, fold: Fold) -> dict[str, Any]:
        """What every way to ask about a fold's tested files is told."""
        return {
            "tokenizer": self.target.tokenizer,
            "prompts": [self.prompt(style, case) for case in fold.cases],
            "batch_size": self.batch_size,
            "model": self.target.model,
        }

    def fitting(self, folds: Iterable[Fold]) -> int:
        """The most prompts, of 8, 4, 2 or 1, that run at once although each is as long as the longest of all.

        ``memory_optimized`` asks for one prompt at a time, or forbids it. ``TargetError`` when nothing fits.
        """
        prompts = (self.prompt(style, case) for fold in folds for case in fold.cases for style in self.config.styles)
        longest = max((prompt_ids(self.target.tokenizer, prompt) for prompt in prompts), key=len)
        row = [*longest, *longest[-1:] * self.config.max_new_tokens]
        alone = self.config.memory_optimized
        sizes = (1,) if alone else (8, 4, 2) if alone is False else (8, 4, 2, 1)
        for size in sizes:
            try:
                with torch.no_grad():
                    self.target.model(input_ids=torch.tensor([row] * size, device=self.target.device))
            except torch.OutOfMemoryError:
                continue
            return size
        raise TargetError(
            f"{sizes[-1]} prompts of {len(row)} tokens do not fit on {self.target.device} beside the weights; "
            + ("allow memory_optimized" if alone is False else "leave out the longest files or choose another --device")
        )


def relative(vectors: Mapping[int, Tensor], norms: Mapping[int, float], layers: Sequence[int]) -> dict[int, Tensor]:
    """The vectors of these layers, each as long as the residual stream is on average there: scale 1 is dose 1."""
    return {
        layer: (vectors[layer].double() / vectors[layer].double().norm() * norms[layer]).float() for layer in layers
    }


def random_direction(number: int, *, seed: int, hidden_size: int, layers: Sequence[int]) -> dict[int, Tensor]:
    """Random vectors with zero mean, one per layer; the same for every CWE, whatever ran before.

    One direction for all CWEs is the harder control: of directions drawn for each, the effects would average
    out, and the trained vectors of different CWEs are much alike.
    """
    found = {}
    for layer in layers:
        drawn = np.random.default_rng([seed, number, layer]).normal(size=hidden_size)
        found[layer] = torch.from_numpy(drawn - drawn.mean()).float()
    return found


def mean_answer(answers: Answers, fold: Fold) -> float:
    """The mean over the fold's scenarios, in nats towards "vulnerable"; each counts once."""
    of_pairs = np.mean([style[side] for style in answers.values() for side in ("vulnerable", "patched")], axis=0)
    return float(by_scenario(of_pairs, fold.scenarios).mean())


Measure = Callable[[Bench, Fold, Mapping[int, Tensor], Mapping[int, float]], dict[str, Any]]
"""One part of a fold: the bench, the fold, its vectors as trained and the residual's norms in, JSON out."""
