"""Where SecLLMHolmes keeps what: every file of code in a tree of that layout, with its label, and what is left out.

A label is in the file's name: ``p_1.c`` is the patched scenario 1 of a numbered part, ``cwe-89-p.py`` the patched
example of the few-shot part, ``patch.c`` that of a CVE. What has no ending there is a pickle, and is never opened.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
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
_UNNAMED = "a name that says neither which scenario it is nor whether it is patched"
_ORIGINAL = "what a misleading change was made to, which hand-crafted has too"


@dataclass(frozen=True)
class File:
    """One file of code: where it is and what its place says about it."""

    path: Path
    cwe: str
    scenario: str
    part: Part
    variant: str
    vulnerable: bool
    reason: Path


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


def files_of(datasets: Path, part: Part, skipped: Counter[str]) -> Iterator[File]:
    """Every file of code in one part, in a fixed order; ``skipped`` counts the others by the reason."""
    base = datasets / FOLDERS[part]
    details = _cve_details(base / "cve_details.json") if part is Part.REAL_WORLD else {}
    for path in sorted(base.rglob("*"), key=lambda path: _natural(path.relative_to(base))):
        place = path.relative_to(base).as_posix()
        named = re.fullmatch(_FILES[part], place, re.IGNORECASE)
        # A dangling link or a directory with the name of a file of code is taken: reading it tells what is wrong.
        if (named is None and path.is_dir()) or place == "cve_details.json":
            continue
        found = _file(path, part, named.groupdict(), details) if named else _why_not(path, part, place, details)
        if isinstance(found, File):
            yield found
        elif found:
            skipped[found] += 1


def _file(path: Path, part: Part, named: dict[str, str | None], details: dict[str, dict[str, str]]) -> File | str:
    """What a file of code is, or why it is left out."""
    stated, variant = named.get("cwe"), named.get("variant") or ""
    if part is Part.REAL_WORLD:
        stated = details.get(str(named["project"]).lower(), {}).get(str(named["cve"]).lower())
        if stated is None:
            return "a CVE that cve_details.json does not name"
    if part is Part.NON_TRIVIAL and variant.endswith("_0"):
        return _ORIGINAL
    cwe = re.sub(r"^cwe-0*(?=\d+$)", "CWE-", str(stated), flags=re.IGNORECASE)
    if cwe not in WEAKNESSES:
        return f"{cwe} is no weakness that is asked about"
    prose = path.with_suffix(".txt")
    if part is Part.FEW_SHOT:
        scenario, prose = f"{part}/{cwe}", path.parents[1] / "reasoning" / prose.name
    elif part is Part.REAL_WORLD:
        scenario = f"{part}/{str(named['cve']).upper()}"
    else:  # an augmentation has the number of the scenario that it is like
        scenario = f"{Part.HAND_CRAFTED}/{cwe}/{named['number']}"
        kinds = (path.parents[2] / name / path.parent.name / prose.name for name in ("ground-truth", "ground_truth"))
        prose = next((kind for kind in kinds if kind.is_file()), prose)
    return File(path, cwe, scenario, part, variant, not named["patched"], prose)


def _why_not(path: Path, part: Part, place: str, details: dict[str, dict[str, str]]) -> str:
    """Why a file is no code of a scenario; nothing for the prose beside the code."""
    if part is Part.REAL_WORLD and place.count("/") > 1:
        project, cve, *_ = place.lower().split("/")
        if cve not in details.get(project, {}):
            return "a CVE that cve_details.json does not name"
    if path.suffix.lower() in (".c", ".py"):
        return _UNNAMED
    if path.suffix == ".txt":
        return ""
    hidden = path.name.startswith(".")
    return "no code of a scenario" if path.suffix or hidden else "no ending, so perhaps a pickle, which is never opened"


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


def _natural(path: Path) -> list[list[tuple[int, str]]]:
    """``CWE-22`` before ``CWE-190``."""
    return [
        [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", part)]
        for part in path.parts
    ]
