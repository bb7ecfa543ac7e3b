"""Which pairs build a vector and which test it: no scenario is ever on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_steering.evaluation.layout import DataError, Part
from pytest_steering.evaluation.scenarios import Case, Dataset, Pair


class Scheme(StrEnum):
    """How pairs are divided."""

    FEW_SHOT = "few-shot"
    """The few-shot pairs build, the hand-crafted ones test: one split."""
    LEAVE_ONE_OUT = "leave-one-out"
    """Each hand-crafted scenario is tested with a vector of the others: a split per scenario."""
    GROUPED = "grouped"
    """The same with all augmentations, each of which goes where its original goes."""


@dataclass(frozen=True)
class Split:
    """Pairs that build a vector, and pairs and singles that test it; ``DataError`` when a scenario is on both sides."""

    scheme: Scheme
    cwe: str
    held_out: str
    """The scenario that is tested, or nothing where all of a part are."""
    build: tuple[Pair, ...]
    test: tuple[Pair, ...]
    singles: tuple[Case, ...] = ()
    """Files without a partner, tested too."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        built = {pair.scenario for pair in self.build}
        for case in self.test_cases():
            if case.scenario in built:
                raise DataError(f"{case.name}: its scenario {case.scenario} also builds the vector that it tests")

    @property
    def achieved(self) -> int:
        """How many pairs build the vector."""
        return len(self.build)

    def test_cases(self) -> tuple[Case, ...]:
        """Every file that is tested."""
        return (*(case for pair in self.test for case in (pair.vulnerable, pair.patched)), *self.singles)


def build_and_test(
    dataset: Dataset,
    cwe: str,
    *,
    scheme: Scheme | str = Scheme.FEW_SHOT,
    max_samples_per_cwe: int | None = None,
    test_parts: Sequence[str] = (Part.HAND_CRAFTED,),
) -> tuple[Split, ...]:
    """The splits of one weakness under ``scheme``, with at most ``max_samples_per_cwe`` pairs to build from.

    ``test_parts`` is for few-shot builds, which may be tested on any other part. Where fewer pairs than asked for
    can build, ``Split.notes`` says how many do. A pair whose code is also tested does not build. ``DataError`` when
    nothing is left to build from or to test.
    """
    scheme = Scheme(scheme)
    if max_samples_per_cwe is not None and max_samples_per_cwe < 1:
        raise DataError(f"max_samples_per_cwe is {max_samples_per_cwe}; a vector needs at least one pair")
    of_cwe = dataset.cwe(cwe)
    if not of_cwe.pairs:
        raise DataError(f"there is no pair of {cwe}; the data set has {', '.join(dataset.cwes)}")
    if scheme is Scheme.FEW_SHOT:
        tests = once(pair for part in test_parts for pair in of_cwe.part(part).pairs)
        singles = [case for part in test_parts for case in of_cwe.part(part).singles if not case.before]
        return (_split(scheme, cwe, "", of_cwe.part(Part.FEW_SHOT).pairs, tests, singles, max_samples_per_cwe),)
    parts = [Part.HAND_CRAFTED]
    if scheme is Scheme.GROUPED:
        parts += [Part.TRIVIAL, Part.NON_TRIVIAL]
    pairs = once(pair for part in parts for pair in of_cwe.part(part).pairs)
    alone = [case for part in parts for case in of_cwe.part(part).singles if not case.before]
    return tuple(
        _split(
            scheme,
            cwe,
            scenario,
            [pair for pair in pairs if pair.scenario != scenario],
            [pair for pair in pairs if pair.scenario == scenario],
            [case for case in alone if case.scenario == scenario],
            max_samples_per_cwe,
        )
        for scenario in dict.fromkeys(pair.scenario for pair in pairs)
    )


def _split(
    scheme: Scheme,
    cwe: str,
    held_out: str,
    build: Iterable[Pair],
    test: Sequence[Pair],
    singles: Sequence[Case],
    most: int | None,
) -> Split:
    notes = []
    tested = {case.code for pair in test for case in (pair.vulnerable, pair.patched)} | {case.code for case in singles}
    chosen = []
    for pair in in_turn(build):
        if pair.vulnerable.code in tested or pair.patched.code in tested:
            notes.append(f"{cwe}: {pair.vulnerable.name} does not build, because its code is also tested")
        else:
            chosen.append(pair)
    if not chosen or not test:
        what = "build a vector from" if not chosen else "test it on"
        raise DataError(f"{cwe}: there is no pair to {what} ({scheme}); choose another scheme or load more parts")
    if most is not None and len(chosen) < most:
        notes.append(f"{cwe}: {len(chosen)} of the {most} pairs asked for build the vector; there are no more")
    return Split(scheme, cwe, held_out, tuple(chosen[:most]), tuple(test), tuple(singles), tuple(notes))


def in_turn(pairs: Iterable[Pair]) -> list[Pair]:
    """One pair of each scenario stands first, then a second one of each: the first few are as different as can be."""
    by_scenario: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_scenario[pair.scenario].append(pair)
    longest = max((len(group) for group in by_scenario.values()), default=0)
    return [group[turn] for turn in range(longest) for group in by_scenario.values() if turn < len(group)]


def once(pairs: Iterable[Pair]) -> list[Pair]:
    """Each pair of texts stands in it once: the originals of augmentations repeat the hand-crafted files."""
    found: dict[tuple[str, str, str], Pair] = {}
    for pair in pairs:
        found.setdefault((pair.scenario, pair.vulnerable.code, pair.patched.code), pair)
    return list(found.values())
