"""The finished parts of folds as one group: a CWE, or all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_steering.evaluation.answers import Behaviour, Shift, Sides, Slopes, behaviour, both_right, shift, slopes
from pytest_steering.evaluation.bench import Answers, mean_answer
from pytest_steering.evaluation.config import UniversalSteeringConfig
from pytest_steering.evaluation.divergence import Divergence, is_saturated
from pytest_steering.evaluation.folds import Fold
from pytest_steering.evaluation.statistics import Control, Interval, McNemar, SignFlip, control, mcnemar, sign_flip
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
    """One CWE, or all of them together."""

    name: str
    pairs: int
    scenarios: int
    baseline: Behaviour
    unsteered: Divergence
    doses: tuple[AtDose, ...]
    slopes: Slopes
    """Over the doses that the answer still follows."""
    test: SignFlip
    """Whether the answer moves at the test dose."""
    accuracy: McNemar | SignFlip
    """Whether pairs turn right at the test dose; a sign-flip test where a scenario has several pairs."""
    control: Control | None
    within_class: Control | None
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
        # A pair that is asked about in several styles gives several values of one scenario.
        self.scenarios = [scenario for _ in config.styles for scenario in fold.scenarios]
        self.baseline = mean_answer(self.doses["baseline"]["answers"], fold)

    @property
    def weight(self) -> int:
        """How many scenarios the fold tests: each counts once."""
        return len(set(self.scenarios))


def group_of(name: str, parts: Sequence[Parts], config: UniversalSteeringConfig, family: int) -> Group:
    """What the parts say together; ``family`` is the number of tests that are corrected with this one."""
    scenarios = [scenario for part in parts for scenario in part.scenarios]
    at = {dose: _answers(parts, f"{dose:g}") for dose in sorted(set(config.doses))}
    baseline, tested = _answers(parts, "baseline"), at[config.test_dose]
    unsteered = _divergence(parts, "baseline")
    doses = []
    for dose, answers in at.items():
        far = _divergence(parts, f"{dose:g}")
        saturated = is_saturated(far.input_dependence, unsteered.input_dependence)
        changed = shift(baseline, answers, scenarios)
        doses.append(AtDose(dose, behaviour(answers, scenarios), changed, far, saturated))
    followed = [dose for dose in at if abs(dose) <= FOLLOWED]
    followed = followed if len(followed) >= 3 else list(at)
    moved = (tested[0] - baseline[0] + tested[1] - baseline[1]) / 2
    test = sign_flip(moved, scenarios, family=family, seed=config.seed)
    random = {dose: _random(parts, f"{dose:g}") for dose in config.active_doses}
    return Group(
        name=name,
        pairs=sum(len(part.fold.test) for part in parts),
        scenarios=len(set(scenarios)),
        baseline=behaviour(baseline, scenarios),
        unsteered=unsteered,
        doses=tuple(doses),
        slopes=slopes(followed, np.stack([sum(at[dose]) / 2 for dose in followed], axis=1), scenarios),
        test=test,
        accuracy=_accuracy(baseline, tested, scenarios, config, family),
        control=control(test.mean, random[config.test_dose]) if config.random_directions else None,
        within_class=control(test.mean, _within_class(parts)) if config.class_control else None,
        random=random,
        layers=_layers(parts, baseline, scenarios),
    )


def answers_of(each: Iterable[Answers]) -> Sides:
    """The answers of all folds, style by style in each: vulnerable and patched, ``(pairs × styles,)`` each."""
    folds = list(each)
    vulnerable, patched = (
        np.array([value for answers in folds for style in answers.values() for value in style[side]])
        for side in ("vulnerable", "patched")
    )
    return vulnerable, patched


def mean_divergence(each: Sequence[Mapping[str, float]]) -> Divergence:
    """The mean over folds of every measure."""
    return Divergence(**{name: float(np.mean([one[name] for one in each])) for name in each[0]})


def _answers(parts: Sequence[Parts], key: str) -> Sides:
    return answers_of(part.doses[key]["answers"] for part in parts)


def _divergence(parts: Sequence[Parts], key: str) -> Divergence:
    return mean_divergence([part.doses[key]["divergence"] for part in parts])


def _accuracy(
    baseline: Sides, tested: Sides, scenarios: list[str], config: UniversalSteeringConfig, family: int
) -> McNemar | SignFlip:
    was, now = both_right(baseline), both_right(tested)
    if len(set(scenarios)) == len(scenarios):
        return mcnemar(was.tolist(), now.tolist(), family=family)
    return sign_flip(now - was.astype(float), scenarios, family=family, seed=config.seed)


def _random(parts: Sequence[Parts], dose: str) -> tuple[float, ...]:
    """The mean shift over scenarios along each random direction."""
    moved = [[one[dose] - part.baseline for one in part.random] for part in parts]
    return tuple(float(value) for value in np.average(moved, axis=0, weights=[part.weight for part in parts]))


def _within_class(parts: Sequence[Parts]) -> list[float]:
    """As many differences as every fold has. Their signs mean nothing, so that of sums over folds would not either."""
    count = min(len(part.within_class) for part in parts)
    sizes = [np.abs(np.array(part.within_class[:count]) - part.baseline) for part in parts]
    return [float(size) for size in np.average(sizes, axis=0, weights=[part.weight for part in parts])]


def _layers(parts: Sequence[Parts], baseline: Sides, scenarios: list[str]) -> dict[int, Interval]:
    everywhere = set.intersection(*({name for name in part.layers if name.isdigit()} for part in parts))
    return {
        layer: shift(baseline, answers_of(part.layers[str(layer)] for part in parts), scenarios).answer
        for layer in sorted(map(int, everywhere))
    }
