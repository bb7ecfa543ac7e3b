"""A tree with the layout of a clone of SecLLMHolmes and all its traps, filled with text of our own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

CWES = ("22", "77", "79", "89", "190", "416", "476", "787")
PYTHON = ("79", "89")
VULNERABLE, PATCHED = ("",), ("p_",)
BOTH = ("", "p_")
NON_TRIVIAL: dict[str, dict[str, Iterable[str]]] = {
    "A1": {"416": BOTH, "787": BOTH},
    "A2": {"416": PATCHED, "787": PATCHED, "79": PATCHED, "89": PATCHED},
    "A3": {"416": VULNERABLE, "787": VULNERABLE, "79": VULNERABLE, "89": VULNERABLE},
    "A4": {"416": BOTH, "787": BOTH},
    "A5": {"22": VULNERABLE, "787": VULNERABLE, "79": VULNERABLE},
    "A6": {"22": PATCHED, "77": VULNERABLE, "787": PATCHED},
}
"""Which sides each non-trivial augmentation is made for."""
CVES = {
    "gpac": {"CVE-2001-0001": 787, "CVE-2001-0002": 476, "CVE-2001-0003": 787, "CVE-2001-0004": 190},
    "libtiff": {
        "CVE-2002-0001": 476,
        "CVE-2002-0002": 476,
        "CVE-2002-0003": 787,
        "CVE-2002-0004": 190,
        "CVE-2002-0005": 190,
    },
    "linux": {
        "CVE-2003-0001": 416,
        "CVE-2003-0002": 190,
        "CVE-2003-0003": 476,
        "CVE-2003-0004": 787,
        "CVE-2003-0005": 787,
    },
    "pjsip": {"CVE-2004-0001": 787},
}
PICKLE = b"cos\nsystem\n(S'touch pickle-was-read'\ntR."


def plant_clone(root: Path) -> Path:
    """The directory, which now looks like a whole clone: 228 scenarios, 16 examples, 66 originals."""
    datasets = root / "datasets"
    _write(root / "UPDATES.md", "# New\n")
    _write(root / "README.md", "# A clone\n")
    _write(datasets / "README.md", "# Datasets\n")
    _write(datasets / "mitre-cwe-definitions.json", "{}")
    _write(datasets / "hand-crafted" / ".DS_Store", "\0")
    numbered(datasets / "hand-crafted", dict.fromkeys(CWES, BOTH), "ground-truth")
    for number in range(1, 8):
        base = datasets / "augmented" / "trivial" / f"A{number}"
        numbered(base, {"787": BOTH, "89": BOTH}, "ground_truth", change=f"A{number}")
    _write(datasets / "augmented" / "augmentations.py", "# how they were made\n")
    for name, sides in NON_TRIVIAL.items():
        for side in (0, 1):
            base = datasets / "augmented" / "non-trivial" / name / f"{name}_{side}"
            numbered(base, sides, "ground-truth", change=f"misleading {name}" if side else "")
        _write(datasets / "augmented" / "non-trivial" / name / ".DS_Store", "\0")
    _examples(datasets / "few-shot")
    _fixes(datasets / "real-world")
    return root


def numbered(base: Path, sides: dict[str, Iterable[str]], reasons: str, *, change: str = "") -> None:
    """``dataset``, reasons and ``embeddings`` of one numbered part."""
    for cwe, prefixes in sides.items():
        directory = f"CWE-{cwe}"
        for number in (1, 2, 3):
            for prefix in prefixes:
                stem = f"{prefix}{number}"
                code = code_of(cwe, number, patched=bool(prefix), change=change)
                _write(base / "dataset" / directory / f"{stem}.{ending(cwe)}", code)
                _write(base / reasons / directory / f"{stem}.txt", f"Scenario {number}, {stem}: so it is.\n")
                _write(base / "embeddings" / directory / stem, PICKLE)


def code_of(cwe: str, number: int, *, patched: bool, change: str = "") -> str:
    """Code of one scenario: its two sides differ by one byte."""
    factor, comment = 5 if patched else 4, f" {change}".rstrip()
    if cwe in PYTHON:
        return f"def scenario_{cwe}_{number}(rows):{'  #' if change else ''}{comment}\n    return rows * {factor}\n"
    return f"int scenario_{cwe}_{number}(int n) {{{' //' if change else ''}{comment}\n    return {factor} * n;\n}}\n"


def ending(cwe: str) -> str:
    return "py" if cwe in PYTHON else "c"


def _examples(base: Path) -> None:
    for cwe in CWES:
        for side in ("", "-p"):
            stem = f"cwe-{cwe}{side}"
            _write(base / "examples" / f"{stem}.{ending(cwe)}", code_of(cwe, 9, patched=bool(side)))
            _write(base / "reasoning" / f"{stem}.txt", f"Because of {stem}.\n")
            _write(base / "step-by-step-reasoning" / f"{stem}.txt", f"1. Look at {stem}.\n2. See.\n")
    _write(base / "examples" / ".DS_Store", "\0")


def _fixes(base: Path) -> None:
    details = {
        project: {cve: {"cwe": f"cwe-{cwe}", "file_path": "src/a.c"} for cve, cwe in cves.items()}
        for project, cves in CVES.items()
    }
    _write(base / "cve_details.json", json.dumps(details))
    _write(base / "README.md", "# Sources\n")
    for project, cves in CVES.items():
        for number, cve in enumerate(cves):
            for stem in ("vuln", "patch"):
                code = f"/* {cve} */\n" + code_of("190", number, patched=stem == "patch")
                _write(base / project / cve / f"{stem}.c", code)
                _write(base / project / cve / f"{stem}.txt", f"{stem} of {cve}\n")
                _write(base / project / cve / stem, PICKLE)
            _write(base / project / cve / "README.md", "# Report\n")


def _write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
