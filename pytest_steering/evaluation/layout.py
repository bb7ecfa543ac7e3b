"""Where SecLLMHolmes keeps what: every file of code in a tree of that layout, with its label, and what is left out.

A label is in the file's name: ``p_1.c`` is the patched scenario 1 of a numbered part, ``cwe-89-p.py`` the patched
example of the few-shot part, ``patch.c`` that of a CVE. Only files that end in ``.c``, ``.py`` and ``.txt`` are ever
opened: what has no ending there is a pickle, and reading a pickle can run code.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pytest_steering.errors import SpecError
from pytest_steering.suite.cwes import WEAKNESSES

OPTION, VARIABLE = "--secllmholmes", "SECLLMHOLMES"
REMEDY = f"name a whole clone of SecLLMHolmes with {OPTION}=PATH or {VARIABLE}"
LANGUAGES = {".c": "c", ".py": "python"}

_NUMBERED = re.compile(r"(p_)?(\d+)")
_EXAMPLE = re.compile(r"(cwe-\d+)(-p)?", re.IGNORECASE)
_CWE = re.compile(r"cwe-(\d+)", re.IGNORECASE)


class DataError(SpecError):
    """Scenarios that cannot be read: one sentence with the file, the reason and the remedy."""


class Part(StrEnum):
    """A part of the data set."""

    HAND_CRAFTED = "hand-crafted"
    """Three scenarios per CWE, each vulnerable and patched."""
    FEW_SHOT = "few-shot"
    """One more pair per CWE, with reasons: the examples of a few-shot prompt."""
    TRIVIAL = "trivial"
    """Hand-crafted scenarios with names, comments or white space changed."""
    NON_TRIVIAL = "non-trivial"
    """Hand-crafted scenarios before (``A3_0``) and after (``A3_1``) a misleading change, many without a partner."""
    REAL_WORLD = "real-world"
    """Code of published CVEs before and after its fix."""


FOLDERS = {
    Part.HAND_CRAFTED: "hand-crafted",
    Part.FEW_SHOT: "few-shot",
    Part.TRIVIAL: "augmented/trivial",
    Part.NON_TRIVIAL: "augmented/non-trivial",
    Part.REAL_WORLD: "real-world",
}


@dataclass(frozen=True)
class File:
    """One file of code: where it is and what its place says about it."""

    path: Path
    cwe: str
    scenario: str
    part: Part
    variant: str
    vulnerable: bool
    reason: Path | None = None
    steps: Path | None = None


@dataclass
class Skipped:
    """What was left out, counted by reason."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, part: Part, reason: str) -> None:
        """One more file of ``part`` is left out."""
        self.counts[part, reason] += 1

    def notes(self) -> list[str]:
        """A sentence for each part and reason."""
        return [
            f"{part}: {count} {'file' if count == 1 else 'files'} left out: {reason}"
            for (part, reason), count in sorted(self.counts.items())
        ]


def datasets_of(root: Path) -> Path:
    """The directory that holds the parts: ``root/datasets`` of a clone, or ``root`` itself.

    ``DataError`` when ``root`` is not there, is no directory, is empty, or holds no part.
    """
    if not root.exists():
        raise DataError(f"{root}: there is no such directory; {REMEDY}")
    if not root.is_dir():
        raise DataError(f"{root}: it is a file, not a directory; {REMEDY}")
    if not any(root.iterdir()):
        raise DataError(f"{root}: the directory is empty; {REMEDY}")
    for directory in (root / "datasets", root):
        if any((directory / folder).is_dir() for folder in FOLDERS.values()):
            return directory
    raise DataError(f"{root}: there is neither datasets/hand-crafted nor another part of the data set; {REMEDY}")


def files_of(datasets: Path, part: Part, skipped: Skipped) -> Iterator[File]:
    """Every file of code in one part, in a fixed order."""
    base = datasets / FOLDERS[part]
    if part is Part.FEW_SHOT:
        return _examples(base, skipped)
    if part is Part.REAL_WORLD:
        return _fixes(base, skipped)
    if part is Part.HAND_CRAFTED:
        return _numbered(base, part, "", skipped)
    depth = 1 if part is Part.TRIVIAL else 2
    return _augmented(base, part, depth, skipped)


def _augmented(base: Path, part: Part, depth: int, skipped: Skipped) -> Iterator[File]:
    for directory in _directories(base, part, skipped):
        if depth > 1:
            yield from _augmented(directory, part, depth - 1, skipped)
        else:
            yield from _numbered(directory, part, directory.name, skipped)


def _numbered(base: Path, part: Part, variant: str, skipped: Skipped) -> Iterator[File]:
    """``dataset/CWE-89/p_1.py`` and the like: an augmentation has the number of the scenario that it is like."""
    reasons = next((base / name for name in ("ground-truth", "ground_truth") if (base / name).is_dir()), None)
    _skip_beside(base, part, skipped)
    if not (base / "dataset").is_dir():
        raise DataError(f"{base}: there is no directory dataset in it; {REMEDY}")
    for directory in _directories(base / "dataset", part, skipped):
        cwe = _known_cwe(directory.name, directory, part, skipped)
        for path in _code_in(directory, part, skipped) if cwe else ():
            named = _NUMBERED.fullmatch(path.stem)
            if named is None or cwe is None:
                skipped.add(part, "a name that says neither which scenario it is nor whether it is patched")
                continue
            reason = reasons / directory.name / f"{path.stem}.txt" if reasons else None
            scenario = f"{Part.HAND_CRAFTED}/{cwe}/{named[2]}"
            yield File(path, cwe, scenario, part, variant, not named[1], reason)


def _examples(base: Path, skipped: Skipped) -> Iterator[File]:
    part = Part.FEW_SHOT
    if not (base / "examples").is_dir():
        raise DataError(f"{base}: there is no directory examples in it; {REMEDY}")
    _skip_beside(base, part, skipped)
    for path in _code_in(base / "examples", part, skipped):
        named = _EXAMPLE.fullmatch(path.stem)
        if named is None:
            skipped.add(part, "a name that says neither which scenario it is nor whether it is patched")
        elif cwe := _known_cwe(named[1], None, part, skipped):
            prose, steps = (base / kind / f"{path.stem}.txt" for kind in ("reasoning", "step-by-step-reasoning"))
            yield File(path, cwe, f"{part}/{cwe}", part, "", not named[2], prose, steps)


def _fixes(base: Path, skipped: Skipped) -> Iterator[File]:
    part = Part.REAL_WORLD
    details = _cve_details(base / "cve_details.json")
    for project in _directories(base, part, skipped):
        of_project = details.get(project.name.lower(), {})
        for directory in _directories(project, part, skipped):
            stated = of_project.get(directory.name.lower())
            if stated is None:
                _skip_tree(directory, part, "a CVE that cve_details.json does not name", skipped)
                continue
            cwe = _known_cwe(stated, directory, part, skipped)
            for path in _code_in(directory, part, skipped) if cwe else ():
                if path.stem not in ("vuln", "patch") or cwe is None:
                    skipped.add(part, "a name that says neither which scenario it is nor whether it is patched")
                    continue
                scenario = f"{part}/{directory.name.upper()}"
                yield File(path, cwe, scenario, part, "", path.stem == "vuln", path.with_suffix(".txt"))


def _cve_details(path: Path) -> dict[str, dict[str, str]]:
    """The CWE of each CVE, by project and CVE, both in small letters."""
    try:
        found = json.loads(path.read_bytes().decode("utf-8", errors="replace"))
        return {
            project.lower(): {cve.lower(): str(facts["cwe"]) for cve, facts in cves.items()}
            for project, cves in found.items()
        }
    except FileNotFoundError:
        raise DataError(f"{path}: the file that tells each CVE's weakness is missing; {REMEDY}") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: it does not tell each CVE's weakness ({type(error).__name__}); {REMEDY}") from None


def _known_cwe(name: str, directory: Path | None, part: Part, skipped: Skipped) -> str | None:
    """The CWE's id in capitals; ``None`` where there is no question for it."""
    named = _CWE.fullmatch(name)
    cwe = f"CWE-{int(named[1])}" if named else name
    if cwe in WEAKNESSES:
        return cwe
    reason = f"{cwe} is no weakness that is asked about"
    if directory is None:
        skipped.add(part, reason)
    else:
        _skip_tree(directory, part, reason, skipped)
    return None


def _directories(base: Path, part: Part, skipped: Skipped) -> list[Path]:
    _skip(part, [entry for entry in base.iterdir() if not entry.is_dir()], skipped)
    return sorted((entry for entry in base.iterdir() if entry.is_dir()), key=_natural)


def _code_in(directory: Path, part: Part, skipped: Skipped) -> list[Path]:
    entries = sorted(directory.iterdir(), key=_natural)
    # A dangling link or a directory with the name of a file of code is kept: reading it tells what is wrong.
    code = [entry for entry in entries if entry.suffix.lower() in LANGUAGES]
    prose = [entry for entry in entries if entry.suffix == ".txt" and entry.stem in {path.stem for path in code}]
    _skip(part, [entry for entry in entries if entry not in code and entry not in prose], skipped)
    return code


def _skip_beside(base: Path, part: Part, skipped: Skipped) -> None:
    """What lies beside the code and its reasons: vectors of an embedding model, which are pickles."""
    known = ("dataset", "ground-truth", "ground_truth", "examples", "reasoning", "step-by-step-reasoning")
    for entry in base.iterdir():
        if entry.is_dir() and entry.name not in known:
            _skip_tree(entry, part, None, skipped)
        elif not entry.is_dir():
            _skip(part, [entry], skipped)


def _skip_tree(directory: Path, part: Part, reason: str | None, skipped: Skipped) -> None:
    files = [entry for entry in directory.rglob("*") if not entry.is_dir()]
    if reason is None:
        _skip(part, files, skipped)
    for _ in files if reason else ():
        skipped.add(part, str(reason))


def _skip(part: Part, entries: Iterable[Path], skipped: Skipped) -> None:
    for entry in entries:
        if entry.name == "cve_details.json":
            continue
        if entry.suffix or entry.name.startswith("."):
            skipped.add(part, "no code of a scenario")
        else:
            skipped.add(part, "no ending, so perhaps a pickle, which is never opened")


def _natural(path: Path) -> tuple[tuple[int, str], ...]:
    """``CWE-22`` before ``CWE-190``."""
    return tuple((int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", path.name))
