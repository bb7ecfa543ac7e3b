"""Where SecLLMHolmes keeps what: every file of code in a tree of that layout, with its label, and what is left out.

A label is in the file's name: ``p_1.c`` is the patched scenario 1 of a numbered part, ``cwe-89-p.py`` the patched
example of the few-shot part, ``patch.c`` that of a CVE. What has no ending there is a pickle, and is never opened.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pytest_steering.errors import SpecError
from pytest_steering.suite.cwes import WEAKNESSES

OPTION, VARIABLE = "--secllmholmes", "SECLLMHOLMES"
REMEDY = f"name a whole clone of SecLLMHolmes with {OPTION}=PATH or {VARIABLE}"


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
    """Hand-crafted scenarios after a misleading change (``A3_1``), many of which is made to one side only."""
    REAL_WORLD = "real-world"
    """Code of published CVEs before and after its fix."""


FOLDERS = {
    Part.HAND_CRAFTED: "hand-crafted",
    Part.FEW_SHOT: "few-shot",
    Part.TRIVIAL: "augmented/trivial",
    Part.NON_TRIVIAL: "augmented/non-trivial",
    Part.REAL_WORLD: "real-world",
}

_CODE = r"(\.c|\.py)"
_NUMBERED = rf"dataset/(?P<cwe>[^/]+)/(?P<patched>p_)?(?P<number>\d+){_CODE}"
_FILES = {
    Part.HAND_CRAFTED: _NUMBERED,
    Part.FEW_SHOT: rf"examples/(?P<cwe>cwe-\d+)(?P<patched>-p)?{_CODE}",
    Part.TRIVIAL: rf"(?P<variant>[^/]+)/{_NUMBERED}",
    Part.NON_TRIVIAL: rf"[^/]+/(?P<variant>[^/]+)/{_NUMBERED}",
    Part.REAL_WORLD: rf"(?P<project>[^/]+)/(?P<cve>[^/]+)/((?P<patched>patch)|vuln){_CODE}",
}
_NO_CODE = "no code of a scenario, and never opened"
_UNNAMED = "a name that says neither which scenario it is nor whether it is patched"
_UNKNOWN_CVE = "a CVE that cve_details.json does not name"
_ORIGINAL = "what a misleading change was made to, which hand-crafted has too"


@dataclass(frozen=True)
class Case:
    """One file of code, with what it is an example of."""

    cwe: str
    """``CWE-89``: what is asked about this code."""
    scenario: str
    """The cluster: shared by the vulnerable and the patched file, and by all augmentations of the same original."""
    part: str
    variant: str
    """The augmentation (``A1``, ``A3_1``), or nothing."""
    vulnerable: bool
    code: str
    reason: str | None
    """Why it is vulnerable or not, in prose, where the data set says so."""
    name: str
    """Its path, relative to the root of the data set."""


def datasets_of(root: Path) -> Path:
    """The directory that holds the parts: ``root/datasets`` of a clone, or ``root`` itself.

    ``DataError`` when ``root`` is no directory or holds no part.
    """
    if not root.is_dir():
        what = "it is a file, not a directory" if root.exists() else "there is no such directory"
        raise DataError(f"{root}: {what}; {REMEDY}")
    for directory in (root / "datasets", root):
        if any((directory / folder).is_dir() for folder in FOLDERS.values()):
            return directory
    raise DataError(f"{root}: there is neither datasets/hand-crafted nor another part of the data set; {REMEDY}")


def cases_of(root: Path, datasets: Path, part: Part) -> tuple[list[Case], list[str]]:
    """Every file of code in one part, in a fixed order, and notes on what is left out or had to be changed."""
    base = datasets / FOLDERS[part]
    details = _cve_details(base / "cve_details.json") if part is Part.REAL_WORLD else {}
    cases: list[Case] = []
    notes: list[str] = []
    skipped: Counter[str] = Counter()
    for place, path in sorted(((path.relative_to(base).as_posix(), path) for path in base.rglob("*")), key=_natural):
        named = re.fullmatch(_FILES[part], place, re.IGNORECASE)
        # A dangling link or a directory with the name of a file of code is taken: reading it tells what is wrong.
        if named is None:
            if path.suffix.lower() in (".c", ".py"):
                skipped[_UNNAMED] += 1
            elif path.is_file() and path.suffix != ".txt" and place != "cve_details.json":
                skipped[_NO_CODE] += 1
            continue
        found = _case(root, path, part, named.groupdict(), details, notes)
        if isinstance(found, Case):
            cases.append(found)
        else:
            skipped[found] += 1
    if not cases:
        raise DataError(f"{base}: there is no code in it; {REMEDY}")
    for reason, count in sorted(skipped.items()):
        notes.append(f"{part}: {count} {'file' if count == 1 else 'files'} left out: {reason}")
    return cases, notes


def _case(
    root: Path,
    path: Path,
    part: Part,
    named: dict[str, str | None],
    details: dict[str, dict[str, str]],
    notes: list[str],
) -> Case | str:
    """What a file of code is, or why it is left out."""
    stated, variant = named.get("cwe"), named.get("variant") or ""
    if part is Part.REAL_WORLD:
        stated = details.get(str(named["project"]).lower(), {}).get(str(named["cve"]).lower())
        if stated is None:
            return _UNKNOWN_CVE
    if part is Part.NON_TRIVIAL and variant.endswith("_0"):
        return _ORIGINAL
    cwe = re.sub(r"^cwe-0*(?=\d+$)", "CWE-", str(stated), flags=re.IGNORECASE)
    if cwe not in WEAKNESSES:
        return f"{cwe} is no weakness that is asked about"
    code = _text(root, path, notes)
    if not code.strip():
        raise DataError(f"{path}: the file is empty; {REMEDY}")
    if part is Part.FEW_SHOT:
        scenario = f"{part}/{cwe}"
    elif part is Part.REAL_WORLD:
        scenario = f"{part}/{str(named['cve']).upper()}"
    else:  # an augmentation has the number of the scenario that it is like
        scenario = f"{Part.HAND_CRAFTED}/{cwe}/{named['number']}"
    beside, above = path.with_suffix(".txt"), path.parents[2]
    numbered = (above / kind / path.parent.name / beside.name for kind in ("ground-truth", "ground_truth"))
    told = (beside, path.parents[1] / "reasoning" / beside.name, *numbered)
    reason = next((_text(root, prose, notes).strip() for prose in told if prose.is_file()), "")
    name = path.relative_to(root).as_posix()
    return Case(cwe, scenario, part.value, variant, not named["patched"], code, reason or None, name)


def _text(root: Path, path: Path, notes: list[str]) -> str:
    """The file as UTF-8 with line feeds; bytes that are none are replaced, with a note."""
    data = path.read_bytes()
    text = data.decode("utf-8-sig", errors="replace")
    if (stray := text.count("\ufffd") - data.count("\ufffd".encode())) > 0:
        name, bytes_are = path.relative_to(root).as_posix(), "byte is" if stray == 1 else "bytes are"
        notes.append(f"{name}: {stray} {bytes_are} not UTF-8 and replaced by U+FFFD")
    return text.replace("\r\n", "\n")


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


def _natural(file: tuple[str, Path]) -> list[tuple[int, str]]:
    """``CWE-22`` before ``CWE-190``."""
    pieces = re.split(r"(\d+)", file[0])
    return [(int(piece), "") if number % 2 else (-1, piece) for number, piece in enumerate(pieces)]
