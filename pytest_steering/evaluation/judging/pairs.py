"""Keys and values: "Verdict: not vulnerable", "is_secure: false", "| Path traversal | Present |"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from pytest_steering.evaluation.judging.clauses import clauses_of
from pytest_steering.evaluation.judging.names import Names
from pytest_steering.evaluation.judging.yes_no import ENDS, LEADING, NO, YES

STATE_BAD = (
    r"(?:is |are )?(?:vulnerable|insecure|unsafe|exploitable|not (?:secure|safe)|fail(?:s|ed)?|flawed|nicht sicher"
    r"|unsicher|anfallig)"
)
STATE_GOOD = (
    r"(?:is |are )?(?:(?:not|non|in)[ -]?(?:vulnerable|exploitable|insecure|unsafe)|secure|safe|invulnerable"
    r"|pass(?:es|ed)?"
    r"|patched|clean|nicht anfallig|sicher)"
)
_FOUND = r"(?:is |are |was )?(?:present|found|detected|exists?|identified|confirmed|possible|likely)"
_ABSENT = (
    r"(?:is |are |was )?(?:none(?: (?:found|detected|identified|present))?|absent|never|mitigated|prevented"
    r"|unlikely|nothing|0(?: ?/ ?\d+)?"
    r"|not (?:present|found|detected|identified|applicable here|possible|exist)"
    r"|no (?:issues?|vulnerabilit(?:y|ies)|findings?|problems?)(?: (?:found|detected|identified|present))?)"
)
_VALUE = re.compile(
    rf"\W*(?:(?P<good>{STATE_GOOD})|(?P<bad>{STATE_BAD})|(?P<absent>{_ABSENT})|(?P<found>{_FOUND})"
    rf"|(?P<yes>{YES}|✅|✓|✔)|(?P<no>{NO}|❌|✗|✘|×))(?![\w-]){ENDS}"
)
_PAIR = re.compile(
    r"^\W*(?:\d+[.)]\s*)?(?P<key>[^:=|?]{1,90}?)[\"'\s)]*(?P<gap>[:=|?]+|\s-+>?\s|\sis\s-*|->|,\s(?=(?:yes"
    r"|no)\s?[:;.-]))\s*(?P<value>.{1,80})"
)
_SEVERAL = re.compile(
    r"[.;,]\s+(?=[a-z][\w -]{2,40}(?::\s*|,\s(?=(?:yes|no)\b))(?:yes|no|true|false|none|(?:not )?(?:present"
    r"|vulnerable|safe|secure|found))\b)"
)
_ANSWER_KEY = re.compile(
    r"\b(?:answer|verdict|decision|conclusion|result|assessment|judge?ment|status|classification|class|label"
    r"|prediction|output"
    r"|evaluation|determination|outcome|overall|finding|response|review)s?\b"
)
_BAD_KEY = re.compile(
    r"\bvulnerab\w*|\binsecure\b|\bunsafe\b|\bexploitable\b|\b(?:security )?(?:issue|flaw|problem|weakness|risk)s?\b"
    r"|\bpresent\b|\bdetected\b"
)
_GOOD_KEY = re.compile(r"\b(?:secure|safe|sicher)\b")
_ADVICE_KEY = re.compile(r"\b(?:fix|prevent|mitigat|impact|severity)\w*")


@dataclass(frozen=True)
class Verdict:
    """One explicit verdict. ``vulnerable`` is None for "not applicable"."""

    vulnerable: bool | None
    line: int
    words: str
    worded: bool
    """The verdict itself says vulnerable or secure; otherwise it is a yes or a no."""
    agreed: float = 0.0
    """What the rest of its sentence states: positive for vulnerable, negative for secure, 0 for nothing."""
    named: bool = False
    """It names the weakness that was asked about."""
    nth: int = 0
    """Which sentence of its line it is."""


class Foreign(Enum):
    """A key with a yes or no that answers something else, such as "Bounds checked: no"."""

    ANOTHER_MATTER = "another matter"


def pairs_in(text: str, table: bool, line: int, names: Names, yes: bool | None) -> list[Verdict | Foreign]:
    """What the keys and values of a line say; nothing when it is no such line. ``yes`` is what a yes means."""
    pieces = [text] if table else _SEVERAL.split(text)
    found = [_pair(re.sub(r"(?<=\w)_(?=\w)", " ", piece), table, line, names, yes) for piece in pieces]
    return [pair for pair in found if pair is not None]


def _pair(text: str, table: bool, line: int, names: Names, yes: bool | None) -> Verdict | Foreign | None:
    gap = "|"
    if table:
        cells = [cell.strip() for cell in text.strip("| ").split("|")]
        whole = next((cell for cell in cells[1:] if _VALUE.fullmatch(cell)), "")
        key, value = cells[0], whole or next((cell for cell in cells[1:] if _VALUE.match(cell)), "")
    else:
        match = _PAIR.match(text)
        if match is None:
            return None
        key, gap, value = match.group("key", "gap", "value")
        if "?" in gap and "?" in text[match.end("gap") :]:
            return None  # several questions, each with its answer, are sentences
    said = _VALUE.match(value)
    if said is None or len(key.split()) > 12 or re.search(r",| the code\b", key):
        return None
    if gap.strip(" -") == "is" and not _ANSWER_KEY.search(key):
        return None
    about = bool(names.asked and names.asked.search(key))
    if gap.startswith(",") and not about and not names.others.search(key):
        return None
    if names.asked and not about and names.others.search(key):
        return Foreign.ANOTHER_MATTER
    if len(key.split()) > 7 and not about and not key.rstrip().endswith("question"):
        return None
    evidence = f"{key.strip()}: {said.group().strip()}"
    judges = bool(names.atoms.search(key))
    answers = bool(_ANSWER_KEY.search(key))
    accuses = bool(_BAD_KEY.search(key))
    acquits = bool(_GOOD_KEY.search(key)) and not accuses
    if said.group("good") or said.group("bad"):
        known = about or answers or accuses or judges or table or names.asked is None or len(key.split()) <= 2
        return Verdict(said.group("bad") is not None, line, evidence, True, named=about) if known else None
    positive = bool(said.group("found") or said.group("yes"))
    if acquits and (said.group("yes") or said.group("no")):
        return Verdict(not positive, line, evidence, True, named=about)
    if (about or accuses or (judges and not acquits)) and not _ADVICE_KEY.search(key):
        return Verdict(positive, line, evidence, True, named=about)
    if not answers:
        return None if LEADING.match(text) or "?" in gap else Foreign.ANOTHER_MATTER
    if said.group("absent") or said.group("found"):
        return Verdict(positive, line, evidence, True)
    rest = re.sub(rf"^\W*(?:{YES}|{NO})\W*", "", value)
    stated = next((stated.value for stated in clauses_of(rest, names) if not stated.cue), 0.0)
    if yes is None:
        return Verdict(stated > 0, line, evidence, False, stated) if stated else None
    return Verdict(yes == positive, line, evidence, False, stated)
