"""The finished parts of folds as one group: a weakness, or all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_steering.evaluation.bench import Answers, mean_answer
from pytest_steering.evaluation.config import UniversalSteeringConfig
from pytest_steering.evaluation.divergence import Divergence, is_saturated
from pytest_steering.evaluation.folds import Fold
from pytest_steering.evaluation.statistics import (
    Behaviour,
    Interval,
    McNemar,
    RandomControl,
    Shift,
    SignFlip,
    Slopes,
    behaviour,
    mcnemar,
    random_control,
    shift,
    sign_flip,
    slopes,
)
from pytest_steering.evaluation.store import Store

FOLLOWED = 0.3
"""The largest relative dose over which slopes are taken: beyond it the answer saturates."""


@dataclass(frozen=True)
class AtDose:
    """What a dose does: behaviour, what changed of it, and how far the output is from the unsteered one."""

    dose: float
    behaviour: Behaviour
    shift: Shift
    divergence: Divergence
    saturated: bool


@dataclass(frozen=True)
class Group:
    """One weakness, or all of them together."""

    name: str
    pairs: int
    scenarios: int
    baseline: Behaviour
    unsteered: Divergence
    doses: tuple[AtDose, ...]
    slopes: Slopes
    test: SignFlip
    """Whether the answer moves at the test dose."""
    accuracy: McNemar | SignFlip
    """Whether pairs turn right at the test dose; a sign-flip test where a scenario has several pairs."""
    control: RandomControl | None
    within_class: RandomControl | None
    """The same beside differences between files of one class, each counted by its size in every fold."""
    random: Mapping[float, tuple[float, ...]]
    """By dose, the mean shift of the answer along each random direction."""
    layers: Mapping[int, Interval]
    """By layer steered alone at the test dose, the mean shift of the answer."""

    def at(self, dose: float) -> AtDose:
        """What this dose does."""
        return next(found for found in self.doses if found.dose == dose)


class Parts:
    """The finished parts of one fold."""

    def __init__(self, store: Store, fold: Fold, config: UniversalSteeringConfig) -> None:
        self.fold = fold
        self.doses = store.read(f"{fold.name}/doses")
        self.random = [store.read(f"{fold.name}/random-{number:02}") for number in range(config.random_directions)]
        self.within_class = store.read(f"{fold.name}/class")["answers"] if config.class_control else []
        self.layers = store.read(f"{fold.name}/layers") if config.scan_layers else {}
        self.robustness = store.read(f"{fold.name}/robustness")
        self.texts = store.read(f"{fold.name}/texts") if config.max_new_tokens else {}
        # A pair that is asked about in several styles gives several values of one cluster.
        self.clusters = [scenario for _ in config.styles for scenario in fold.scenarios]

    @property
    def size(self) -> int:
        """How many answers there are: pairs times styles."""
        return len(self.clusters)


def group_of(name: str, parts: Sequence[Parts], config: UniversalSteeringConfig, family: int) -> Group:
    """What the parts say together; ``family`` is the number of tests that are corrected with this one."""
    clusters = [scenario for part in parts for scenario in part.clusters]
    baseline = answers_of(part.doses["baseline"]["answers"] for part in parts)
    unsteered = mean_divergence([part.doses["baseline"]["divergence"] for part in parts])
    doses = []
    for dose in sorted(set(config.doses)):
        found = [part.doses[f"{dose:g}"] for part in parts]
        answers = answers_of(one["answers"] for one in found)
        far = mean_divergence([one["divergence"] for one in found])
        doses.append(
            AtDose(
                dose=dose,
                behaviour=behaviour(*answers, clusters, seed=config.seed),
                shift=shift(baseline, answers, clusters, seed=config.seed),
                divergence=far,
                saturated=is_saturated(far.input_dependence, unsteered.input_dependence),
            )
        )
    tested = answers_of(part.doses[f"{config.test_dose:g}"]["answers"] for part in parts)
    moved = np.stack([tested[0] - baseline[0], tested[1] - baseline[1]]).mean(0)
    test = sign_flip(moved, clusters, alpha=config.alpha, family=family, seed=config.seed)
    random = _random(parts, config)
    return Group(
        name=name,
        pairs=sum(len(part.fold.split.test) for part in parts),
        scenarios=len(set(clusters)),
        baseline=behaviour(*baseline, clusters, seed=config.seed),
        unsteered=unsteered,
        doses=tuple(doses),
        slopes=_slopes(parts, clusters, config),
        test=test,
        accuracy=_accuracy(baseline, tested, clusters, config, family),
        control=random_control(test.mean, random[config.test_dose], alpha=config.alpha)
        if config.random_directions
        else None,
        within_class=_within_class(test.mean, parts, config),
        random=random,
        layers=_layers(parts, baseline, clusters, config),
    )


def _accuracy(
    baseline: tuple[Any, Any],
    tested: tuple[Any, Any],
    clusters: list[str],
    config: UniversalSteeringConfig,
    family: int,
) -> McNemar | SignFlip:
    was, now = ((left > 0) & (right <= 0) for left, right in (baseline, tested))
    if len(set(clusters)) == len(clusters):
        return mcnemar(was.tolist(), now.tolist(), clusters, alpha=config.alpha, family=family)
    gained = now.astype(float) - was
    return sign_flip(gained, clusters, alpha=config.alpha, family=family, seed=config.seed)


def _random(parts: Sequence[Parts], config: UniversalSteeringConfig) -> dict[float, tuple[float, ...]]:
    """The mean shift over folds, each counted by its answers."""
    weights = np.array([part.size for part in parts], dtype=float)
    before = np.array([mean_answer(part.doses["baseline"]["answers"]) for part in parts])
    found = {}
    for dose in config.active_doses:
        table = np.array([[one[f"{dose:g}"] for one in part.random] for part in parts])
        moved = (weights @ (table - before[:, None])) / weights.sum() if table.size else np.array([])
        found[dose] = tuple(float(value) for value in moved)
    return found


def _within_class(target: float, parts: Sequence[Parts], config: UniversalSteeringConfig) -> RandomControl | None:
    """As many differences as every fold has. Their signs mean nothing, so that of sums over folds would not either."""
    count = min(len(part.within_class) for part in parts)
    if not count:
        return None
    sizes = [
        np.abs(np.array(part.within_class[:count]) - mean_answer(part.doses["baseline"]["answers"])) for part in parts
    ]
    drawn = np.average(sizes, axis=0, weights=[part.size for part in parts])
    return random_control(target, drawn, alpha=config.alpha, what="differences within a class of equal norm")


def _slopes(parts: Sequence[Parts], clusters: list[str], config: UniversalSteeringConfig) -> Slopes:
    """Slopes over the doses that the answer still follows, or over all where those are fewer than three."""
    doses = [dose for dose in sorted(set(config.doses)) if abs(dose) <= FOLLOWED]
    if len(doses) < 3:
        doses = sorted(set(config.doses))
    table = []
    for dose in doses:
        vulnerable, patched = answers_of(part.doses[f"{dose:g}"]["answers"] for part in parts)
        table.append((vulnerable + patched) / 2)
    return slopes(doses, np.stack(table, axis=1), clusters, seed=config.seed)


def _layers(
    parts: Sequence[Parts], baseline: tuple[Any, Any], clusters: list[str], config: UniversalSteeringConfig
) -> dict[int, Interval]:
    everywhere = set.intersection(*({name for name in part.layers if name.isdigit()} for part in parts))
    found = {}
    for layer in sorted(map(int, everywhere)):
        answers = answers_of(part.layers[str(layer)] for part in parts)
        found[layer] = shift(baseline, answers, clusters, seed=config.seed).answer
    return found


def answers_of(each: Iterable[Answers]) -> tuple[Any, Any]:
    """The answers of all folds, style by style in each: vulnerable and patched, ``(pairs × styles,)`` each."""
    folds = list(each)
    sides = [
        np.array([value for answers in folds for style in answers.values() for value in style[side]])
        for side in ("vulnerable", "patched")
    ]
    return sides[0], sides[1]


def mean_divergence(each: Sequence[Mapping[str, float]]) -> Divergence:
    """The mean over folds of every measure."""
    return Divergence(**{name: float(np.mean([one[name] for one in each])) for name in each[0]})
