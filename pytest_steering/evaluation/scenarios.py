"""Scenarios of vulnerable and patched code: a clone of SecLLMHolmes, or the embedded pairs of the same layout.

Nothing of SecLLMHolmes is shipped here: it is read where its user has it.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pytest_steering.evaluation.layout import (
    FOLDERS,
    REMEDY,
    VARIABLE,
    Case,
    DataError,
    Part,
    cases_of,
    datasets_of,
)
from pytest_steering.suite.paired_prompts import embedded_root

__all__ = ["Case", "DataError", "Dataset", "Pair", "Part", "embedded_root", "load_secllmholmes"]


@dataclass(frozen=True)
class Pair:
    """A vulnerable file and the same one patched.

    A misleading change that is made to one side only (a safe function called ``vulnerable_func``) has the other side
    of its hand-crafted scenario for a partner. Such a pair differs by more than the fix: it tests and never builds.
    """

    vulnerable: Case
    patched: Case

    @property
    def cwe(self) -> str:
        """What both are about."""
        return self.vulnerable.cwe

    @property
    def scenario(self) -> str:
        """The cluster that both belong to."""
        return self.vulnerable.scenario

    @property
    def builds(self) -> bool:
        """Whether its sides differ by the fix alone."""
        return self.vulnerable.variant == self.patched.variant

    @property
    def part(self) -> str:
        """The part of the data set: that of the side that was changed."""
        return self.vulnerable.part if self.builds or self.vulnerable.variant else self.patched.part


@dataclass(frozen=True)
class Dataset:
    """Pairs of code, and a note on everything that was left out."""

    root: Path
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()

    def part(self, name: str) -> Dataset:
        """The pairs of one part."""
        return self.only(lambda pair: pair.part == Part(name))

    def cwe(self, name: str) -> Dataset:
        """The pairs of one CWE, ``CWE-89`` in any case."""
        return self.only(lambda pair: pair.cwe == name.upper())

    def only(self, wanted: Callable[[Pair], bool]) -> Dataset:
        """The pairs that are wanted."""
        return replace(self, pairs=tuple(filter(wanted, self.pairs)))

    def cases(self) -> tuple[Case, ...]:
        """Every file once: each pair's vulnerable one before its patched one."""
        return tuple({case.name: case for pair in self.pairs for case in (pair.vulnerable, pair.patched)}.values())

    @property
    def cwes(self) -> tuple[str, ...]:
        """The CWEs that there is code for, in the order of their numbers."""
        return tuple(sorted({pair.cwe for pair in self.pairs}, key=lambda cwe: int(cwe.removeprefix("CWE-"))))

    def counts(self) -> dict[str, int]:
        """How many files each part has."""
        counts = Counter(case.part for case in self.cases())
        return {part.value: counts[part] for part in Part if counts[part]}

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of every file's place in the data, label and code: two with the same one are the same data.

        Where the data lies does not count, nor whether a clone or the ``datasets`` in it was named.
        """
        facts = sorted(
            (case.part, case.scenario, case.variant, str(case.vulnerable), case.code) for case in self.cases()
        )
        digest = hashlib.sha256()
        for text in (text for fact in facts for text in fact):
            digest.update(text.encode() + b"\0")
        return digest.hexdigest()


def load_secllmholmes(root: str | Path | None = None, *, parts: Collection[str] | None = None) -> Dataset:
    """The scenarios under ``root``; without it those that the variable ``SECLLMHOLMES`` names, else the embedded ones.

    ``parts`` are names of :class:`Part`; without them a clone must have all five, and of the embedded pairs
    whatever there is. ``DataError`` names the file or directory that is missing, empty, unreadable or no clone.
    Pairs whose two files are the same, and files that are no code or of an unknown CWE, are left out with a
    note; nothing that could be a pickle is opened.
    """
    path = Path(root or os.environ.get(VARIABLE) or embedded_root()).expanduser()
    embedded = path.resolve() == embedded_root().resolve()
    try:
        datasets = datasets_of(path)
        wanted = _chosen(datasets, [parts] if isinstance(parts, str) else parts, whole=not embedded)
        pairs, notes = _read(path, datasets, wanted)
    except OSError as error:
        raise DataError(f"{error.filename or path}: it cannot be read ({error.strerror or error}); {REMEDY}") from None
    if not embedded and not any((directory / "UPDATES.md").is_file() for directory in (datasets, datasets.parent)):
        notes.append(
            "CWE-22: without UPDATES.md the clone may be older than November 2024, when the patched scenarios 2 and 3 "
            "were still vulnerable; update it"
        )
    return Dataset(path, tuple(pairs), tuple(notes))


def _chosen(datasets: Path, names: Collection[str] | None, *, whole: bool) -> list[Part]:
    """The parts that are asked for, all of which are there."""
    if unknown := [name for name in names or () if name not in set(Part)]:
        raise DataError(f"there is no part {unknown[0]!r} of SecLLMHolmes; the parts are {', '.join(Part)}")
    there = [part for part in Part if (datasets / FOLDERS[part]).is_dir()]
    wanted = [part for part in Part if (part in names if names is not None else whole or part in there)]
    # A change that is made to one side only needs the other side.
    needed = [Part.HAND_CRAFTED] if Part.NON_TRIVIAL in wanted else []
    if missing := [part for part in (*wanted, *needed) if part not in there]:
        raise DataError(
            f"{datasets}: there is no directory {FOLDERS[missing[0]]}, so the clone is not whole; {REMEDY}, "
            "or ask for the parts that are there"
        )
    return wanted


def _read(root: Path, datasets: Path, parts: Collection[Part]) -> tuple[list[Pair], list[str]]:
    """The pairs of these parts, and what there is to note."""
    pairs: list[Pair] = []
    notes: list[str] = []
    originals: dict[tuple[str, bool], Case] = {}
    if Part.NON_TRIVIAL in parts:
        cases, _ = cases_of(root, datasets, Part.HAND_CRAFTED)
        originals = {(case.scenario, case.vulnerable): case for case in cases}
        notes.append(
            "non-trivial: kept, A4 of CWE-416 and A6 of CWE-22: the published answers to them were asked about "
            "out-of-bounds write; here each file is asked about its own CWE, so compare no published figure"
        )
    for part in parts:
        cases, found = cases_of(root, datasets, part)
        pairs += _paired(cases, originals, found)
        notes += found
    return pairs, notes


def _paired(cases: Iterable[Case], originals: dict[tuple[str, bool], Case], notes: list[str]) -> list[Pair]:
    """The pairs of one part; a misleading change that is made to one side only is paired with the original's other."""
    sides: dict[tuple[str, str, str], dict[bool, Case]] = {}
    labels: dict[tuple[str, str], set[bool]] = {}
    for case in cases:
        both = sides.setdefault((case.cwe, case.variant, case.scenario), {})
        if case.vulnerable in both:
            raise DataError(f"{case.name} and {both[case.vulnerable].name} are the same scenario; keep one of them")
        both[case.vulnerable] = case
        labels.setdefault((case.cwe, case.variant), set()).add(case.vulnerable)
    pairs, alone = [], 0
    for (cwe, variant, scenario), both in sides.items():
        if len(both) == 1:
            (case,) = both.values()
            other = originals.get((scenario, not case.vulnerable))
            if case.part != Part.NON_TRIVIAL or len(labels[cwe, variant]) == 2 or other is None:
                lacking = "patched" if case.vulnerable else "vulnerable"
                raise DataError(f"{case.name}: its {lacking} file is missing; {REMEDY}")
            both[other.vulnerable] = other
            alone += 1
        pair = Pair(both[True], both[False])
        if pair.vulnerable.code == pair.patched.code:
            notes.append(f"{pair.vulnerable.name}: left out, because the patched file is the same")
        else:
            pairs.append(pair)
    if alone:
        notes.append(
            f"{Part.NON_TRIVIAL}: {alone} files are tested beside the hand-crafted file of the other side, because the "
            "change fits one side only; these pairs build no vector"
        )
    return pairs
