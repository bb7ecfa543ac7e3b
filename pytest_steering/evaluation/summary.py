"""What the parts of an experiment say together, in numbers, in sentences and in a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pytest_steering.evaluation.answers import COIN
from pytest_steering.evaluation.config import UniversalSteeringConfig
from pytest_steering.evaluation.divergence import is_saturated
from pytest_steering.evaluation.folds import Fold, TooLong
from pytest_steering.evaluation.groups import Group, Parts, group_of, mean_divergence
from pytest_steering.evaluation.judges.judgement import Judge
from pytest_steering.evaluation.parts import judged_part
from pytest_steering.evaluation.statistics import LEAST_DIRECTIONS, Interval, holm
from pytest_steering.evaluation.store import Store

_HEAD = ("CWE", "scenarios", "says yes", "both files right", "shift (nats)", "largest random", "Holm p")


@dataclass(frozen=True)
class Robustness:
    """The vectors as trained times a large scale: no evidence of an effect, but a load that the model must stand."""

    scale: float
    relative_dose: float
    """The smallest over layers and folds of ``‖s·v‖ / mean ‖h‖``."""
    refused: str
    left: float | None
    """The share of the input dependence that is left; ``None`` where the adapter refused."""
    saturated: bool
    clean_after: bool

    def __str__(self) -> str:
        start = f"scale {self.scale:g} ({self.relative_dose:.3g} times the residual's norm or more)"
        after = "the model is bit-equal afterwards" if self.clean_after else "THE MODEL IS CHANGED AFTERWARDS"
        if self.left is None:
            return f"{start}: refused, {self.refused}; {after}"
        flag = "saturated" if self.saturated else "not saturated"
        return f"{start}: {flag}, {self.left:.0%} of the input dependence is left; {after}"


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
    corrected: Mapping[str, float | None]
    """The p-value of each CWE after Holm's correction; ``None`` where it is underpowered."""
    robustness: Robustness
    texts: tuple[Texts, ...]
    zero_is_identity: bool
    too_long: tuple[TooLong, ...]
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
            "holm": dict(self.corrected),
            "robustness": _plain(self.robustness),
            "texts": [_plain(found) for found in self.texts],
            "zero_is_identity": self.zero_is_identity,
            "at_chance": self.pooled.baseline.at_chance,
            "too_long": [_plain(found) for found in self.too_long],
            "beware": self.beware(),
            "sentences": self.sentences(),
            "notes": list(self.notes),
            "judge": dict(self.judge),
        }

    def beware(self) -> list[str]:
        """What a reader must know before the numbers, in a sentence each."""
        found = []
        if not self.zero_is_identity:
            found.append("DOSE 0 CHANGES THE OUTPUT: the adapter does more than add the vector")
        baseline = self.pooled.baseline
        if baseline.at_chance:
            right = _percent(baseline.pair_accuracy)
            follows = (
                f"it ranks the vulnerable file above its patch in {_percent(baseline.ordered)}, so shifts of the "
                "answer can be read, and nothing about accuracy follows"
                if baseline.ranks
                else "nothing about steering follows"
            )
            where = "at chance" if baseline.pair_accuracy.estimate <= COIN else "not told from chance"
            found.append(f"{where}: both files right in {right} of pairs, where a coin has {COIN:.0%}: {follows}")
        if self.too_long:
            by_cwe = Counter(pair.cwe for pair in self.too_long)
            longest = max(self.too_long, key=lambda pair: pair.tokens)
            found.append(
                f"left out: {len(self.too_long)} pairs whose prompts exceed the context of {longest.context} tokens "
                f"({', '.join(f'{cwe}: {count}' for cwe, count in by_cwe.items())}; the longest has {longest.tokens}): "
                "what follows holds for shorter files only"
            )
        within = self.pooled.within_class
        if within is not None and within.p is None:
            found.append(
                f"no control within a class: too few pairs build a vector ({within.directions} differences between "
                f"files of one class, {LEAST_DIRECTIONS} are needed, which 5 pairs give); random directions, which "
                "are left, are an easy control"
            )
        return found

    def sentences(self) -> list[str]:
        """What was found, in one honest sentence each."""
        pooled, dose = self.pooled, f"{self.config.test_dose:g}"
        tested = pooled.at(self.config.test_dose)
        found = [
            f"without steering the model {pooled.baseline}",
            f"at dose {dose} it {tested.behaviour}",
            f"dose {dose} {tested.shift}",
            f"the answer at dose {dose}: {pooled.test}",
            f"pairs at dose {dose}: {pooled.accuracy}",
            str(pooled.slopes),
        ]
        if pooled.control is not None:
            found.append(f"control at dose {dose}: {pooled.control.against('random directions of equal norm')}")
        if pooled.within_class is not None and pooled.within_class.p is not None:
            compared = pooled.within_class.against("differences within a class of equal norm")
            found.append(f"within a class at dose {dose}: {compared}")
        if pooled.layers:
            layer, moved = max(pooled.layers.items(), key=lambda item: abs(item[1].estimate))
            found.append(f"of the layers steered alone at dose {dose}, layer {layer} moves the answer most: {moved}")
        found.append(self._weighed())
        if saturated := [f"{at.dose:g}" for at in pooled.doses if at.saturated]:
            found.append(
                f"saturated at dose {', '.join(saturated)}: less than half of the input dependence is left there"
            )
        return [*found, str(self.robustness), *map(str, self.texts)]

    def _weighed(self) -> str:
        """Which p-value counts, and what the others can say at most."""
        test = self.pooled.test
        p = "which is underpowered" if test.p is None else f"p = {test.p:.2g}"
        found = f"of these p-values one decides: the sign flip of the answer over all {test.scenarios} scenarios, {p}"
        if len(self.cwes) > 1:
            found += f"; those of the {len(self.cwes)} CWEs are corrected by Holm and describe"
        ranks = [control for control in (self.pooled.control, self.pooled.within_class) if control and control.p]
        if ranks:
            least = " and ".join(dict.fromkeys(f"1/{rank.directions + 1}" for rank in ranks))
            found += f"; a rank p cannot be less than {least}, however large the effect"
        return f"{found}; McNemar, Page and the slopes describe"

    def table(self) -> str:
        """All of it for a terminal; intervals are 95%."""
        dose = self.config.test_dose
        groups = (*self.cwes, self.pooled)
        rows = [_HEAD, *(self._row(group) for group in groups)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        without = [
            f"{group.name} has no interval of {what}: {interval.note}"
            for group in groups
            for what, interval in (("shares", group.baseline.pair_accuracy), ("the shift", group.at(dose).shift.answer))
            if interval.low is None
        ]
        title = f"{self.config.model_name}, layers {list(self.layers)}, dose {dose:g} against none"
        beware = [f"beware: {sentence}" for sentence in self.beware()]
        notes = [f"note: {note}" for note in (*without, *self.notes)]
        return "\n".join([title, *beware, "", *lines, "", *self.sentences(), *notes])

    def _row(self, group: Group) -> tuple[str, ...]:
        steered = group.at(self.config.test_dose)
        random = group.random.get(self.config.test_dose, ())
        p = self.corrected.get(group.name)
        return (
            group.name,
            str(group.scenarios),
            f"{group.baseline.yes_rate.estimate:.0%} → {steered.behaviour.yes_rate.estimate:.0%}",
            f"{_percent(group.baseline.pair_accuracy)} → {_percent(steered.behaviour.pair_accuracy)}",
            _nats(steered.shift.answer),
            f"{max(map(abs, random)):.2f}" if random else "",
            "" if group.name not in self.corrected else "underpowered" if p is None else f"{p:.2g}",
        )


def summarise(
    config: UniversalSteeringConfig,
    store: Store,
    folds: Sequence[Fold],
    layers: tuple[int, ...],
    judge: Judge,
    *,
    too_long: Iterable[TooLong] = (),
    notes: Iterable[str] = (),
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
        corrected=holm({group.name: group.test.p for group in cwes}),
        robustness=_robustness(parts, config),
        texts=_texts(parts, [store.read(judged_part(fold, judge)) for fold in folds]) if config.max_new_tokens else (),
        zero_is_identity=all(part.doses["zero_is_identity"] for part in parts),
        too_long=tuple(too_long),
        notes=tuple(notes),
        judge={"name": judge.name, "version": judge.version},
    )


def _robustness(parts: Sequence[Parts], config: UniversalSteeringConfig) -> Robustness:
    found = [part.robustness for part in parts]
    smallest = min(dose for one in found for dose in one["relative_dose"].values())
    clean = all(one["clean_after"] for one in found)
    refused = next((one["refused"] for one in found if "refused" in one), "")
    if refused:
        return Robustness(config.steering_scale, smallest, refused, None, saturated=False, clean_after=clean)
    steered, unsteered = (
        mean_divergence([one[name] for one in found]).input_dependence for name in ("divergence", "unsteered")
    )
    left = steered / unsteered if unsteered else 0.0
    return Robustness(
        config.steering_scale, smallest, "", left, saturated=is_saturated(steered, unsteered), clean_after=clean
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


def _percent(found: Interval) -> str:
    if found.low is None or found.high is None:
        return f"{found.estimate:.0%}"
    return f"{found.estimate:.0%} [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def _nats(found: Interval) -> str:
    if found.low is None or found.high is None:
        return f"{found.estimate:+.2f}"
    return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _plain(found: Any) -> Any:
    """Nested dataclasses as JSON has them: keys are texts."""
    return _keyed(asdict(found))


def _keyed(value: Any) -> Any:
    if isinstance(value, dict):
        return {f"{key:g}" if isinstance(key, float) else str(key): _keyed(item) for key, item in value.items()}
    return [_keyed(item) for item in value] if isinstance(value, list | tuple) else value
