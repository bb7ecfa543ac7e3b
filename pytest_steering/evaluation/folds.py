"""Which scenarios build a vector and which test it, a few folds for each weakness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_steering.evaluation.config import UniversalSteeringConfig
from pytest_steering.evaluation.layout import DataError, Part
from pytest_steering.evaluation.scenarios import Dataset, Pair
from pytest_steering.evaluation.splits import Scheme, Split, build_and_test, in_turn, once
from pytest_steering.evaluation.styles import STYLES


@dataclass(frozen=True)
class Fold:
    """One vector's work: the pairs that build it and those that it is tested on."""

    cwe: str
    number: int
    split: Split

    @property
    def name(self) -> str:
        """``CWE-89/fold-1``: where its parts are kept."""
        return f"{self.cwe}/fold-{self.number}"

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The cluster of each tested pair."""
        return tuple(pair.scenario for pair in self.split.test)


def folds_of(dataset: Dataset, config: UniversalSteeringConfig) -> tuple[tuple[Fold, ...], tuple[str, ...]]:
    """Every fold of every weakness, and notes on what was left out or fell short.

    A scenario that is tested never builds the vector that it is tested with. Weaknesses without enough scenarios are
    left out with a note; ``DataError`` when none is left.
    """
    wanted = config.cwes or dataset.cwes
    unknown = [cwe for cwe in wanted if cwe not in dataset.cwes]
    if unknown:
        raise DataError(f"there is no {unknown[0]} in the data; it has {', '.join(dataset.cwes)}")
    folds: list[Fold] = []
    notes: list[str] = []
    for cwe in wanted:
        try:
            splits = _few_shot(dataset, cwe, config) if config.scheme == "few-shot" else _crossed(dataset, cwe, config)
        except DataError as error:
            notes.append(f"left out: {error}")
            continue
        folds += [Fold(cwe, number, replace(split, singles=())) for number, split in enumerate(splits, 1)]
        notes += dict.fromkeys(note for split in splits for note in split.notes)
        if alone := sum(len(split.singles) for split in splits):
            notes.append(f"{cwe}: {alone} files without a partner are not tested")
    if not folds:
        raise DataError(f"no weakness has pairs enough to build and to test: {'; '.join(notes)}")
    return tuple(folds), tuple(notes)


def without(dataset: Dataset, unfit: Callable[[Pair], bool]) -> tuple[Dataset, int]:
    """The data without the pairs that do not fit, and how many those are."""
    kept = tuple(pair for pair in dataset.pairs if not unfit(pair))
    return replace(dataset, pairs=kept), len(dataset.pairs) - len(kept)


def _few_shot(dataset: Dataset, cwe: str, config: UniversalSteeringConfig) -> tuple[Split, ...]:
    return build_and_test(
        dataset,
        cwe,
        scheme=Scheme.FEW_SHOT,
        max_samples_per_cwe=config.max_samples_per_cwe,
        test_parts=config.parts,
    )


def _crossed(dataset: Dataset, cwe: str, config: UniversalSteeringConfig) -> tuple[Split, ...]:
    """Scenarios dealt into folds; each fold is tested with a vector of the others and of the few-shot pairs.

    Few-shot pairs do not build where a style shows them as examples.
    """
    of_cwe = dataset.cwe(cwe)
    tested = once(pair for part in config.parts for pair in of_cwe.part(part).pairs)
    names = list(dict.fromkeys(pair.scenario for pair in tested))
    shown = any(STYLES[style].shots for style in config.styles)
    extra = () if shown else tuple(p for p in of_cwe.part(Part.FEW_SHOT).pairs if p.scenario not in names)
    if len(names) < 2:
        raise DataError(
            f"{cwe}: {len(names)} scenarios cannot be divided; take scheme few-shot or more parts of the data"
        )
    count = min(config.folds, len(names))
    splits = []
    for fold in range(count):
        held = set(names[fold::count])
        test = tuple(pair for pair in tested if pair.scenario in held)
        texts = {case.code for pair in test for case in (pair.vulnerable, pair.patched)}
        build = [
            pair
            for pair in (*in_turn(pair for pair in tested if pair.scenario not in held), *extra)
            if pair.vulnerable.code not in texts and pair.patched.code not in texts
        ]
        if not build:
            raise DataError(f"{cwe}: there is no pair to build a vector from; load more parts")
        notes: tuple[str, ...] = ()
        if len(build) < config.max_samples_per_cwe:
            asked = config.max_samples_per_cwe
            notes = (f"{cwe}: {len(build)} of the {asked} pairs asked for build the vector; there are no more",)
        built = tuple(build[: config.max_samples_per_cwe])
        splits.append(Split(Scheme.GROUPED, cwe, ", ".join(sorted(held)), built, test, notes=notes))
    return tuple(splits)
