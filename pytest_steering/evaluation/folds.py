"""Which pairs build a vector and which test it, a few folds for each CWE: no scenario is ever on both sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_steering.evaluation.config import UniversalSteeringConfig
from pytest_steering.evaluation.layout import DataError, Part
from pytest_steering.evaluation.scenarios import Case, Dataset, Pair
from pytest_steering.evaluation.styles import STYLES


@dataclass(frozen=True)
class Fold:
    """One vector's work: the pairs that build it and those that it is tested on; ``DataError`` where both share one."""

    cwe: str
    number: int
    build: tuple[Pair, ...]
    test: tuple[Pair, ...]

    def __post_init__(self) -> None:
        built = {pair.scenario for pair in self.build}
        for pair in self.test:
            if pair.scenario in built:
                raise DataError(
                    f"{pair.vulnerable.name}: its scenario {pair.scenario} also builds the vector that it tests"
                )

    @property
    def name(self) -> str:
        """``CWE-89/fold-1``: where its parts are kept."""
        return f"{self.cwe}/fold-{self.number}"

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The cluster of each tested pair."""
        return tuple(pair.scenario for pair in self.test)

    @property
    def cases(self) -> tuple[Case, ...]:
        """The tested files: each pair's vulnerable one before its patched one."""
        return tuple(case for pair in self.test for case in (pair.vulnerable, pair.patched))


@dataclass(frozen=True)
class TooLong:
    """A pair that is left out because one of its prompts exceeds the model's context."""

    cwe: str
    name: str
    tokens: int
    """Of its longest prompt, with the room for the answer."""
    context: int


def folds_of(
    dataset: Dataset, config: UniversalSteeringConfig, too_long: Iterable[TooLong] = ()
) -> tuple[tuple[Fold, ...], tuple[str, ...]]:
    """Every fold of every CWE, and notes on what was left out or fell short.

    CWEs without enough scenarios are left out with a note, which also says how many of their pairs were
    ``too_long``; ``DataError`` when none is left.
    """
    long = Counter(pair.cwe for pair in too_long)
    known = sorted({*dataset.cwes, *long}, key=lambda cwe: int(cwe.removeprefix("CWE-")))
    wanted = config.cwes or known
    unknown = [cwe for cwe in wanted if cwe not in known]
    if unknown:
        raise DataError(f"there is no {unknown[0]} in the data; it has {', '.join(known)}")
    folds: list[Fold] = []
    notes: list[str] = []
    for cwe in wanted:
        try:
            found = _divided(dataset.cwe(cwe), cwe, config)
        except DataError as error:
            why = f", since {long[cwe]} of its pairs exceed the context" if long[cwe] else ""
            notes.append(f"left out: {error}{why}")
            continue
        folds += found
        fewest = min(len(fold.build) for fold in found)
        if fewest < config.max_samples_per_cwe:
            asked = config.max_samples_per_cwe
            notes.append(f"{cwe}: {fewest} of the {asked} pairs asked for build the vector; there are no more")
    if not folds:
        raise DataError(f"no CWE has pairs enough to build and to test: {'; '.join(notes)}")
    return tuple(folds), tuple(notes)


def _divided(dataset: Dataset, cwe: str, config: UniversalSteeringConfig) -> list[Fold]:
    """``crossed``: scenarios dealt into folds; each is tested with a vector of the others and of the few-shot pairs.

    ``few-shot``: all are tested with a vector of the few-shot pairs. Crossed, few-shot pairs do not build where a style
    shows them as examples.
    """
    tested = [pair for part in config.parts for pair in dataset.part(part).pairs]
    if not tested:
        raise DataError(f"{cwe}: there is no pair to test in {', '.join(config.parts)}; load more parts")
    names = list(dict.fromkeys(pair.scenario for pair in tested))
    shown = any(STYLES[style].shots for style in config.styles) and config.scheme == "crossed"
    extra = [] if shown else [pair for pair in dataset.part(Part.FEW_SHOT).pairs if pair.scenario not in names]
    if config.scheme == "crossed" and len(names) < 2:
        raise DataError(
            f"{cwe}: {len(names)} scenarios cannot be divided; take scheme few-shot or more parts of the data"
        )
    count = min(config.folds, len(names)) if config.scheme == "crossed" else 1
    folds = []
    for number in range(count):
        held = set(names[number::count])
        test = [pair for pair in tested if pair.scenario in held]
        texts = {case.code for pair in test for case in (pair.vulnerable, pair.patched)}
        others = _in_turn(pair for pair in tested if pair.scenario not in held and pair.builds)
        build = [pair for pair in (*others, *extra) if not texts & {pair.vulnerable.code, pair.patched.code}]
        if not build:
            raise DataError(f"{cwe}: there is no pair to build a vector from; choose another scheme or load more parts")
        folds.append(Fold(cwe, number + 1, tuple(build[: config.max_samples_per_cwe]), tuple(test)))
    return folds


def _in_turn(pairs: Iterable[Pair]) -> list[Pair]:
    """One pair of each scenario stands first, then a second one of each: the first few are as different as can be."""
    by_scenario: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_scenario[pair.scenario].append(pair)
    longest = max((len(group) for group in by_scenario.values()), default=0)
    return [group[turn] for turn in range(longest) for group in by_scenario.values() if turn < len(group)]
