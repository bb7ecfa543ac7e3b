"""What the parts of an experiment say together, with intervals and one tested dose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pytest_steering.evaluation.config import UniversalSteeringConfig
from pytest_steering.evaluation.divergence import is_saturated
from pytest_steering.evaluation.folds import Fold
from pytest_steering.evaluation.groups import FOLLOWED, Group, Parts, answers_of, group_of, mean_divergence
from pytest_steering.evaluation.judges.judgement import Judge
from pytest_steering.evaluation.parts import judged_part
from pytest_steering.evaluation.statistics import Corrected, Shift, holm, shift
from pytest_steering.evaluation.store import Store


@dataclass(frozen=True)
class Robustness:
    """The vectors as trained times a large scale: no evidence of an effect, but a load that the model must stand."""

    scale: float
    relative_dose: float
    """The smallest over layers and folds of ``‖s·v‖ / mean ‖h‖``."""
    refused: str
    input_dependence: float | None
    unsteered: float | None
    saturated: bool
    shift: Shift | None
    clean_after: bool

    def __str__(self) -> str:
        start = f"scale {self.scale:g} ({self.relative_dose:.3g} times the residual's norm or more)"
        after = "the model is bit-equal afterwards" if self.clean_after else "THE MODEL IS CHANGED AFTERWARDS"
        if self.refused or self.input_dependence is None or self.unsteered is None:
            return f"{start}: refused, {self.refused}; {after}"
        share = self.input_dependence / self.unsteered if self.unsteered else 0.0
        flag = "saturated" if self.saturated else "not saturated"
        return f"{start}: {flag}, {share:.0%} of the input dependence is left; {after}"


@dataclass(frozen=True)
class Texts:
    """How generated answers were judged under one setting."""

    setting: str
    labels: Mapping[str, int]
    right: int
    total: int
    pairs_right: int
    """Pairs of a file and its patch with both right: who says the same of every file has none."""

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {label}" for label, count in self.labels.items())
        return (
            f"written answers, {self.setting}: {counts or 'none'}; {self.right} of {self.total} right, "
            f"both of a pair in {self.pairs_right} of {self.total // 2}"
        )


@dataclass(frozen=True)
class Summary:
    """What the experiment found."""

    config: UniversalSteeringConfig
    identity: Mapping[str, Any]
    layers: tuple[int, ...]
    pooled: Group
    cwes: tuple[Group, ...]
    corrected: Mapping[str, Corrected]
    robustness: Robustness
    texts: tuple[Texts, ...]
    zero_is_identity: bool
    notes: tuple[str, ...]
    judge: Mapping[str, str]
    """The name and the version of who judged the written answers."""

    def document(self) -> dict[str, Any]:
        """Everything, ready for JSON; the same for the same numbers."""
        return {
            **self.identity,
            "layers": list(self.layers),
            "pooled": _plain(self.pooled),
            "cwes": {group.name: _plain(group) for group in self.cwes},
            "holm": {name: _plain(found) for name, found in self.corrected.items()},
            "robustness": _plain(self.robustness),
            "texts": [_plain(found) for found in self.texts],
            "zero_is_identity": self.zero_is_identity,
            "sentences": self.sentences(),
            "notes": list(self.notes),
            "judge": dict(self.judge),
        }

    def sentences(self) -> list[str]:
        """What was found, in one honest sentence each."""
        tested = self.pooled.at(self.config.test_dose)
        found = [
            f"without steering the model {self.pooled.baseline}",
            f"at dose {self.config.test_dose:g} it {tested.behaviour}",
            f"dose {self.config.test_dose:g} {tested.shift}",
            f"the answer at dose {self.config.test_dose:g}: {self.pooled.test}",
            f"pairs at dose {self.config.test_dose:g}: {self.pooled.accuracy}",
            f"slope up to dose {FOLLOWED:g}: {self.pooled.slopes}",
        ]
        if self.pooled.control is not None:
            found.append(f"control at dose {self.config.test_dose:g}: {self.pooled.control}")
        if self.pooled.within_class is not None:
            found.append(f"within a class at dose {self.config.test_dose:g}: {self.pooled.within_class}")
        saturated = [f"{at.dose:g}" for at in self.pooled.doses if at.saturated]
        if saturated:
            found.append(
                f"saturated at dose {', '.join(saturated)}: less than half of the input dependence is left there"
            )
        found += [str(self.robustness), *map(str, self.texts)]
        if not self.zero_is_identity:
            found.append("DOSE 0 CHANGES THE OUTPUT: the adapter does more than add the vector")
        return found


def summarise(
    config: UniversalSteeringConfig,
    store: Store,
    folds: Sequence[Fold],
    layers: tuple[int, ...],
    notes: Iterable[str],
    judge: Judge,
) -> Summary:
    """The summary of finished parts."""
    parts = [Parts(store, fold, config) for fold in folds]
    names = list(dict.fromkeys(fold.cwe for fold in folds))
    cwes = tuple(
        group_of(name, [part for part in parts if part.fold.cwe == name], config, len(names)) for name in names
    )
    return Summary(
        config=config,
        identity=store.identity,
        layers=layers,
        pooled=group_of("all", parts, config, 1),
        cwes=cwes,
        corrected=holm({group.name: group.test.p for group in cwes}, alpha=config.alpha),
        robustness=_robustness(parts, config),
        texts=_texts(parts, [store.read(judged_part(fold, judge)) for fold in folds]) if config.max_new_tokens else (),
        zero_is_identity=all(part.doses["zero_is_identity"] for part in parts),
        notes=tuple(notes),
        judge={"name": judge.name, "version": judge.version},
    )


def _robustness(parts: Sequence[Parts], config: UniversalSteeringConfig) -> Robustness:
    found = [part.robustness for part in parts]
    smallest = min(dose for one in found for dose in one["relative_dose"].values())
    clean = all(one["clean_after"] for one in found)
    refused = next((one["refused"] for one in found if "refused" in one), "")
    if refused:
        return Robustness(config.steering_scale, smallest, refused, None, None, False, None, clean)
    steered = mean_divergence([one["divergence"] for one in found]).input_dependence
    unsteered = mean_divergence([one["unsteered"] for one in found]).input_dependence
    return Robustness(
        scale=config.steering_scale,
        relative_dose=smallest,
        refused="",
        input_dependence=steered,
        unsteered=unsteered,
        saturated=is_saturated(steered, unsteered),
        shift=shift(
            answers_of(part.doses["baseline"]["answers"] for part in parts),
            answers_of(one["answers"] for one in found),
            [scenario for part in parts for scenario in part.clusters],
            seed=config.seed,
        ),
        clean_after=clean,
    )


def _texts(parts: Sequence[Parts], judged: Sequence[Mapping[str, Any]]) -> tuple[Texts, ...]:
    found = []
    for setting in ("baseline", "steered", "robustness"):
        pairs = [
            (label, truth)
            for part, found_by in zip(parts, judged, strict=True)
            for label, truth in zip(found_by[setting]["labels"], part.texts["truth"], strict=False)
        ]
        counts = Counter(label for label, _ in pairs)
        right = [label == ("vulnerable" if truth else "secure") for label, truth in pairs]
        both = sum(one and other for one, other in zip(right[::2], right[1::2], strict=True))
        labels = {label: counts[label] for label in ("vulnerable", "secure", "unclear") if counts[label]}
        found.append(Texts(setting, labels, sum(right), len(pairs), both))
    return tuple(found)


def _plain(found: Any) -> Any:
    """Nested dataclasses as JSON has them: keys are texts."""
    return _keyed(asdict(found))


def _keyed(value: Any) -> Any:
    if isinstance(value, dict):
        return {f"{key:g}" if isinstance(key, float) else str(key): _keyed(item) for key, item in value.items()}
    return [_keyed(item) for item in value] if isinstance(value, list | tuple) else value
