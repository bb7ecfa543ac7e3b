"""Scenarios of vulnerable and patched code: a clone of SecLLMHolmes, or the embedded pairs of the same layout.

Nothing of SecLLMHolmes is shipped here: it is read where its user has it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pytest_steering.evaluation.layout import (
    FOLDERS,
    LANGUAGES,
    REMEDY,
    VARIABLE,
    DataError,
    File,
    Part,
    Skipped,
    datasets_of,
    files_of,
)

__all__ = ["Case", "DataError", "Dataset", "Pair", "Part", "embedded_root", "load_secllmholmes"]

WHOLE = {Part.HAND_CRAFTED: 48, Part.FEW_SHOT: 16, Part.TRIVIAL: 84, Part.NON_TRIVIAL: 132, Part.REAL_WORLD: 30}
"""How many files of code each part of a whole clone has, at the commit of May 2025."""


@dataclass(frozen=True)
class Case:
    """One file of code, with what it is an example of."""

    cwe: str
    """``CWE-89``: what is asked about this code."""
    scenario: str
    """The cluster: shared by the vulnerable and the patched file, and by all augmentations of the same original."""
    part: str
    variant: str
    """The augmentation (``A1``, ``A3_0``), or nothing."""
    vulnerable: bool
    language: str
    code: str
    reason: str | None
    """Why it is vulnerable or not, in prose, where the data set says so."""
    name: str
    """Its path, relative to the root of the data set."""
    steps: str | None = None
    """The same reason step by step, where the data set has it: in the few-shot part."""

    @property
    def before(self) -> bool:
        """Whether it is the unchanged side (``A3_0``) of a non-trivial augmentation."""
        return self.part == Part.NON_TRIVIAL and self.variant.endswith("_0")


@dataclass(frozen=True)
class Pair:
    """A vulnerable file and the same one patched."""

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
    def part(self) -> str:
        """The part of the data set."""
        return self.vulnerable.part

    @property
    def variant(self) -> str:
        """The augmentation, or nothing."""
        return self.vulnerable.variant


@dataclass(frozen=True)
class Dataset:
    """Pairs of code, the files that have no partner, and a note on everything that was left out.

    ``singles`` are non-trivial augmentations that exist on one side only: a safe function called
    ``vulnerable_func`` has no vulnerable counterpart.
    """

    root: Path
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...] = ()
    singles: tuple[Case, ...] = ()

    def part(self, name: str) -> Dataset:
        """The pairs and singles of one part."""
        return self._only(lambda case: case.part == Part(name))

    def cwe(self, name: str) -> Dataset:
        """The pairs and singles of one weakness, ``CWE-89`` in any case."""
        return self._only(lambda case: case.cwe == name.upper())

    def cases(self) -> tuple[Case, ...]:
        """Every file: each pair's vulnerable one before its patched one, then the singles."""
        paired = (case for pair in self.pairs for case in (pair.vulnerable, pair.patched))
        return (*paired, *self.singles)

    @property
    def cwes(self) -> tuple[str, ...]:
        """The weaknesses that there is code for, in the order of their numbers."""
        return tuple(sorted({case.cwe for case in self.cases()}, key=lambda cwe: int(cwe.removeprefix("CWE-"))))

    def counts(self) -> dict[str, int]:
        """How many files each part has."""
        return {part.value: count for part in Part if (count := sum(case.part == part for case in self.cases()))}

    @property
    def scenario_files(self) -> int:
        """How many files are scenarios to judge: not the few-shot examples, not the originals of augmentations."""
        return sum(case.part != Part.FEW_SHOT and not case.before for case in self.cases())

    def describe(self) -> str:
        """One line that says how much there is."""
        parts = ", ".join(f"{count} {part}" for part, count in self.counts().items())
        return f"{self.scenario_files} scenarios of {len(self.cwes)} weaknesses to judge; files by part: {parts}"

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

    def _only(self, wanted: Callable[[Case], bool]) -> Dataset:
        return Dataset(
            self.root,
            tuple(pair for pair in self.pairs if wanted(pair.vulnerable)),
            self.notes,
            tuple(case for case in self.singles if wanted(case)),
        )


def embedded_root() -> Path:
    """The embedded pairs: ``fixtures/mini_cwe``, below the package in a wheel and beside it in the checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "fixtures" / "mini_cwe"
    return inside if inside.is_dir() else package.parent / "fixtures" / "mini_cwe"


def load_secllmholmes(root: str | Path | None = None, *, parts: Collection[str] | None = None) -> Dataset:
    """The scenarios under ``root``; without it those that the variable ``SECLLMHOLMES`` names, else the embedded ones.

    ``parts`` are names of :class:`Part`; without them a clone must have all five, and of the embedded pairs
    whatever there is. ``DataError`` names the file or directory that is missing, empty, unreadable or no clone.
    Pairs whose two files are the same, and files that are no code or of an unknown weakness, are left out with a
    note; nothing that could be a pickle is opened.
    """
    root = root or os.environ.get(VARIABLE) or embedded_root()
    path = Path(root).expanduser()
    try:
        datasets = datasets_of(path)
        embedded = path.resolve() == embedded_root().resolve()
        chosen = _chosen(datasets, parts, whole=not embedded)
        return _load(path, datasets, chosen, embedded=embedded)
    except OSError as error:
        raise DataError(f"{error.filename or path}: it cannot be read ({error.strerror or error}); {REMEDY}") from None


def _chosen(datasets: Path, parts: Collection[str] | None, *, whole: bool) -> list[Part]:
    names = [parts] if isinstance(parts, str) else parts
    unknown = [name for name in names or () if name not in set(Part)]
    if unknown:
        raise DataError(f"there is no part {unknown[0]!r} of SecLLMHolmes; the parts are {', '.join(Part)}")
    there = [part for part in Part if (datasets / FOLDERS[part]).is_dir()]
    wanted = [part for part in Part if (part in names if names is not None else whole or part in there)]
    if missing := [part for part in wanted if part not in there]:
        raise DataError(
            f"{datasets}: there is no directory {FOLDERS[missing[0]]}, so the clone is not whole; {REMEDY}, "
            "or ask for the parts that are there"
        )
    return wanted


def _load(root: Path, datasets: Path, parts: Iterable[Part], *, embedded: bool) -> Dataset:
    pairs: list[Pair] = []
    singles: list[Case] = []
    notes: list[str] = []
    for part in parts:
        skipped = Skipped()
        cases = [_case(root, file, notes) for file in files_of(datasets, part, skipped)]
        if not cases:
            raise DataError(f"{datasets / FOLDERS[part]}: there is no code in it; {REMEDY}")
        of_part, alone = _paired(cases, notes)
        pairs += of_part
        singles += alone
        notes += skipped.notes()
        if without := sum(case.reason is None for case in cases):
            notes.append(f"{part}: {without} of {len(cases)} files come without a reason in prose")
        if not embedded and len(cases) < WHOLE[part]:
            notes.append(f"{part}: {len(cases)} files of code where a whole clone has {WHOLE[part]}")
    if not embedded:
        notes += _known_flaws(datasets, {*parts})
    return Dataset(root, tuple(pairs), tuple(notes), tuple(singles))


def _case(root: Path, file: File, notes: list[str]) -> Case:
    name = file.path.relative_to(root).as_posix()
    code = _text(file.path, name, notes)
    if not code.strip():
        raise DataError(f"{file.path}: the file is empty; {REMEDY}")
    prose, steps = (
        _text(path, path.relative_to(root).as_posix(), notes).strip() if path is not None and path.is_file() else None
        for path in (file.reason, file.steps)
    )
    language = LANGUAGES[file.path.suffix.lower()]
    return Case(
        cwe=file.cwe,
        scenario=file.scenario,
        part=file.part.value,
        variant=file.variant,
        vulnerable=file.vulnerable,
        language=language,
        code=code,
        reason=prose or None,
        name=name,
        steps=steps or None,
    )


def _text(path: Path, name: str, notes: list[str]) -> str:
    """The file as UTF-8 with line feeds; bytes that are none are replaced, with a note."""
    data = path.read_bytes()
    text = data.decode("utf-8-sig", errors="replace")
    if (stray := text.count("�") - data.count("�".encode())) > 0:
        notes.append(f"{name}: {stray} {'byte is' if stray == 1 else 'bytes are'} not UTF-8 and replaced by U+FFFD")
    return text.replace("\r\n", "\n")


def _paired(cases: Iterable[Case], notes: list[str]) -> tuple[list[Pair], list[Case]]:
    """Pairs, and the cases of augmentations that are made for one side only."""
    sides: dict[tuple[str, str, str], dict[bool, Case]] = {}
    labels: dict[tuple[str, str], set[bool]] = {}
    for case in cases:
        both = sides.setdefault((case.cwe, case.variant, case.scenario), {})
        if case.vulnerable in both:
            raise DataError(f"{case.name} and {both[case.vulnerable].name} are the same scenario; keep one of them")
        both[case.vulnerable] = case
        labels.setdefault((case.cwe, case.variant), set()).add(case.vulnerable)
    pairs, singles = [], []
    for (cwe, variant, _), both in sides.items():
        if len(both) == 2:
            pair = Pair(both[True], both[False])
            if pair.vulnerable.code == pair.patched.code:
                notes.append(f"{pair.vulnerable.name}: left out, because the patched file is the same")
            else:
                pairs.append(pair)
            continue
        (case,) = both.values()
        if case.part != Part.NON_TRIVIAL or len(labels[cwe, variant]) == 2:
            other = "patched" if case.vulnerable else "vulnerable"
            raise DataError(f"{case.name}: its {other} file is missing; {REMEDY}")
        singles.append(case)
    if singles:
        notes.append(f"{singles[0].part}: {len(singles)} files have no partner, because the change fits one side only")
    return pairs, singles


def _known_flaws(datasets: Path, parts: set[Part]) -> Iterator[str]:
    """What is wrong with the data set itself, and what follows from it here."""
    if Part.NON_TRIVIAL in parts:
        yield (
            "non-trivial: kept, A4 of CWE-416 and A6 of CWE-22: the published answers to them were asked about "
            "out-of-bounds write; here each file is asked about its own weakness, so compare no published figure"
        )
    if not any((directory / "UPDATES.md").is_file() for directory in (datasets, datasets.parent)):
        yield (
            "CWE-22: without UPDATES.md the clone may be older than November 2024, when the patched scenarios 2 and 3 "
            "were still vulnerable; update it"
        )
