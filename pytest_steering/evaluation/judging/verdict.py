"""Explicit verdicts: a yes or no that answers the question, "Verdict: not vulnerable", a cell of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from pytest_steering.evaluation.judging import words
from pytest_steering.evaluation.judging.names import Names
from pytest_steering.evaluation.judging.normalise import ASKED, Line
from pytest_steering.evaluation.judging.statements import clauses_of, sentences

_YES = r"i (?:think|believe) so|(?:it|this|there) (?:does|is|are)(?=[ ]*[.,!;:])|yes|yep|yeah|yup|ja|si|oui|sim|da|true|correct|affirmative|indeed|absolutely(?! not)|definitely(?! not)|certainly(?! not)|of course(?! not)"
_NO = r"(?:absolutely|definitely|certainly|unfortunately|probably|apparently|surely|of course|clearly) not|not at all|i do not (?:think|believe) so|(?:it|this|there) (?:does|is|are) not(?=[ ]*[.,!;:])|not (?:as (?:written|given|shown)|really|here|that i can (?:see|tell)|in this (?:code|case|snippet))(?=[ ]*[.,!;:-])|no|nope|nein|non|nao|niet|nee|false|negative"
_END = r"(?=\s*(?:[.,;:!)\]}\"']|-|$|\())"
_FILLER = (
    r"(?:(?:so|therefore|thus|hence|in short|in summary|in conclusion|overall|ultimately|and so|then|short version|bottom line|tl;?dr|conclusion|summary|well|final|actually|wait|hmm+|ok(?:ay)?|right|correction|on reflection|after all|but|no wait|and|my mistake|unfortunately|sadly|luckily|fortunately|"
    r"(?:my |the |short |final |overall |simple |quick |brief )*(?:answer|verdict|decision|response|result|conclusion)(?: to (?:the|this|your|that)(?: \w+)? ?question| here)?"
    r"(?: is| would be| must be| should be| has to be)?|i (?:would |will )?(?:say|answer|conclude|go with)|a|antwort|respuesta|reponse|assistant|ai|bot|output|it is a)\W+)"
)
_LEADING = re.compile(
    rf"^\W*(?:\d+\W+)?{_FILLER}{{0,3}}(?P<said>{_YES}|{_NO})"
    rf"(?:(?=\s*(?:[.,;:!)\]}}\"'?]|-|$|\())|(?=\s+(?:this|the (?:\w+ )?(?:code|snippet|program|function)|it|there|that|because|as|since|i|der|el|ce|le)\b))"
)
_AT_THE_END = re.compile(
    rf"\b(?:answer|verdict|decision)(?: to (?:the|this|your|that)(?: \w+)? ?question)?(?: here)? (?:is|would be|must be|should be|has to be)(?: a| an| clearly| simply| therefore| thus)*\W+(?P<said>{_YES}|{_NO})\b{_END}"
    rf"|\bboxed ?\{{ ?(?:text ?\{{ ?)?(?P<box>{_YES}|{_NO})\b"
    rf"|\b(?:so|hence|therefore|thus|then),?\s+(?P<so>yes|no)\s*(?:[.,;:!]|-|$)"
)
_STATE_BAD = r"(?:is |are )?(?:vulnerable|insecure|unsafe|exploitable|not (?:secure|safe)|fail(?:s|ed)?|flawed|nicht sicher|unsicher|anfallig)"
_STATE_GOOD = r"(?:is |are )?(?:(?:not|non|in)[ -]?(?:vulnerable|exploitable|insecure|unsafe)|secure|safe|invulnerable|pass(?:es|ed)?|patched|clean|nicht anfallig|sicher)"
_FOUND = r"(?:is |are |was )?(?:present|found|detected|exists?|identified|confirmed|possible|likely)"
_ABSENT = r"(?:is |are |was )?(?:none(?: (?:found|detected|identified|present))?|not (?:present|found|detected|identified|applicable here|possible|exist)|absent|no (?:issues?|vulnerabilit(?:y|ies)|findings?|problems?)(?: (?:found|detected|identified|present))?|never|mitigated|prevented|unlikely|nothing|0)"
_VALUE = re.compile(
    rf"\W*(?:(?P<good>{_STATE_GOOD})|(?P<bad>{_STATE_BAD})|(?P<absent>{_ABSENT})|(?P<found>{_FOUND})|(?P<yes>{_YES}|✅|✓|✔)|(?P<no>{_NO}|❌|✗|✘|×))(?![\w-]){_END}"
)
_PAIR = re.compile(r"^\W*(?:\d+[.)]\s*)?(?P<key>[^:=|?]{1,90}?)[\"'\s)]*(?:[:=|?]+|\s-+>?\s|\sis\s-*|->)\s*(?P<value>.{1,80})")
_PAIRS = re.compile(r"[.;,]\s+(?=[a-z][\w -]{2,40}:\s*(?:yes|no|true|false|none|(?:not )?(?:present|vulnerable|safe|secure|found))\b)")
_STATE = re.compile(rf"^\W*(?:(?P<good>{_STATE_GOOD})|(?P<bad>{_STATE_BAD}))\s*(?:[.,;:!(]|-|$)")
_ANSWER_KEY = re.compile(
    r"\b(?:answer|verdict|decision|conclusion|result|assessment|judge?ment|status|classification|class|label|prediction|output|evaluation|determination|outcome|overall|finding|response)s?\b"
)
_BAD_KEY = re.compile(r"\bvulnerab\w*|\binsecure\b|\bunsafe\b|\bexploitable\b|\b(?:security )?(?:issue|flaw|problem|weakness|risk)s?\b|\bweakness\b|\bpresent\b|\bdetected\b")
_GOOD_KEY = re.compile(r"\b(?:secure|safe|is secure|sicher)\b")
_NA = re.compile(r"^\W*(?:(?:final |the )?(?:answer|verdict|decision|conclusion|result)\W+(?:is\W+)?)?(?:n/a|not applicable|na|unknown|undetermined|inconclusive|unclear)\W*(?:$|[.,;:-])")
_HEAD = re.compile(r"^\W*(?:\d+\W+)?(?:final |short |overall |my |the )*(?:answer|verdict|decision|conclusion|result|fazit|antwort)s?\W*$")


class Foreign(Enum):
    """A line with a yes or no that answers something else, such as "Bounds checked: no"."""

    ANOTHER_MATTER = "another matter"


@dataclass(frozen=True)
class Verdict:
    """One explicit verdict. ``vulnerable`` is None for "not applicable"; ``agreed`` says how the same sentence judges."""

    vulnerable: bool | None
    line: int
    words: str
    worded: bool
    """The verdict itself says vulnerable or secure; otherwise it is a yes or a no."""
    agreed: float = 0.0
    """What the rest of its sentence states: positive for vulnerable, negative for secure, 0 for nothing."""
    named: bool = False
    first: bool = False
    """It opens the answer."""


def verdicts(
    lines: tuple[Line, ...], names: Names, *, yes: bool | None
) -> tuple[tuple[Verdict, ...], frozenset[int]]:
    """Every explicit verdict in the order of the answer, and the lines that are keys and values and nothing else.

    ``yes`` is what a yes means, None when it means nothing alone.
    """
    found: list[Verdict] = []
    pairs: set[int] = set()
    asked: bool | None = None
    headed = opened = False
    plain = 0
    for index, line in enumerate(lines):
        if line.code or not line.text:
            continue
        text = line.text
        pieces = _PAIRS.split(text) if len(_PAIRS.findall(text)) and not line.table else [text]
        several = [_pair(piece, line.table, index, names, yes) for piece in pieces]
        if any(pair is not None for pair in several):
            found += [pair for pair in several if isinstance(pair, Verdict)]
            pairs.add(index)
            opened, headed, asked = True, False, None
            continue
        if _HEAD.match(text):
            headed, opened = True, True
            continue
        if _NA.match(text) and (not opened or headed or "answer" in text[:20] or len(text) < 20):
            found.append(Verdict(None, index, text[:40], True, first=not opened))
            opened = True
            continue
        state = _STATE.match(text)
        if state and not (line.heading and ":" in text[-2:]) and (not opened or headed or not line.listed):
            found.append(Verdict(state.group("bad") is not None, index, state.group().strip(), True, first=not opened))
        for sentence in sentences(text):
            is_question = sentence.rstrip("\"') ").endswith("?")
            match = _LEADING.match(sentence)
            meaning = yes if asked is None else asked
            if match and not is_question:
                elliptic = match.group("said").startswith(("it ", "this ", "there "))
                unprompted = (elliptic and opened and asked is None) or line.listed and opened and not headed and asked is None
                if not unprompted and (asked is not None or not _after_other_question(lines, index, sentence)):
                    verdict = _said(match.group("said"), sentence, match.end(), index, names, meaning)
                    if verdict is not None:
                        found.append(_with(verdict, first=not opened, before=plain == 0))
                        plain += 1
            else:
                ending = _AT_THE_END.search(sentence)
                if ending and not is_question:
                    said = ending.group("said") or ending.group("box") or ending.group("so")
                    start = max(0, ending.start() - 40)
                    if not re.search(r"\bif\b", sentence[start : ending.start()]):
                        verdict = _said(said, sentence, ending.end(), index, names, meaning)
                        if verdict is not None:
                            found.append(verdict)
            asked = meaning_of(sentence, names) if is_question or ASKED.search(sentence) else None
            opened = True
        headed = False
    return tuple(found), frozenset(pairs)


def meaning_of(question: str, names: Names) -> bool | None:
    """What a yes to a question means: True for vulnerable, False for secure, None when the question is another."""
    match = re.search(r"\b(?:secure|safe|free (?:of|from)|protected|immune)\b|" + names.atoms.pattern, question)
    if match is None:
        return None
    value = not re.match(r"secure|safe|free|protected|immune|properly|correctly|adequately", match.group())
    before = question[max(0, match.start() - 30) : match.start()]
    return (not value) if re.search(r"\bnot\b", before) else value


def _with(verdict: Verdict, *, first: bool, before: bool) -> Verdict:
    return Verdict(**{**verdict.__dict__, "first": first and before})


def _after_other_question(lines: tuple[Line, ...], index: int, sentence: str) -> bool:
    """The line before asks something that is no verdict, and this is the answer to that."""
    text = lines[index].text
    position = text.find(sentence)
    earlier = text[:position].rstrip() if position > 0 else next((line.text for line in reversed(lines[:index]) if line.text), "")
    return earlier.endswith("?") and not ASKED.search(earlier)


def _said(said: str, sentence: str, end: int, index: int, names: Names, meaning: bool | None) -> Verdict | None:
    """A yes or no with what the rest of its sentence states; without a meaning the rest alone decides."""
    yes = re.match(_YES, said + ".") is not None and not re.match(_NO, said + ".")
    value, named = 0.0, False
    for weight, _, own, cue in clauses_of(sentence[end:].strip(" ,.:;-!"), names):
        if not cue:
            value, named = weight, own
            break
    if meaning is None:
        return Verdict(value > 0, index, sentence[:80], False, value, named) if value else None
    return Verdict(meaning if yes else not meaning, index, sentence[:80], False, value, named)


def _pair(said_text: str, table: bool, index: int, names: Names, yes: bool | None) -> Verdict | Foreign | None:
    """"Verdict: not vulnerable", "is_secure: false", "| Path traversal | Present |"."""
    text = re.sub(r"(?<=\w)_(?=\w)", " ", said_text)
    match = None
    if table:
        cells = [cell.strip() for cell in text.strip("| ").split("|")]
        values = [cell for cell in cells[1:] if _VALUE.fullmatch(cell)]
        if not values:
            return None
        key, value = cells[0], values[0]
    else:
        match = _PAIR.match(text)
        if match is None:
            return None
        key, value = match.group("key"), match.group("value")
    said = _VALUE.match(value)
    if said is None or len(key.split()) > 12 or re.search(r",| the code\b", key):
        return None
    if match and re.match(r"\s*is\b", match.group()[len(match.group("key")) :]) and not _ANSWER_KEY.search(key):
        return None
    about = bool(names.asked and names.asked.search(key))
    if names.asked and not about and names.others.search(key):
        return Foreign.ANOTHER_MATTER
    if len(key.split()) > 7 and not about and not key.rstrip().endswith("question"):
        return None
    evidence = f"{key.strip()}: {said.group().strip()}"
    if said.group("good") or said.group("bad"):
        if not (about or _ANSWER_KEY.search(key) or _BAD_KEY.search(key) or names.asked is None or table or names.atoms.search(key) or len(key.split()) <= 2):
            return None
        return Verdict(said.group("bad") is not None, index, evidence, True, named=about)
    good_key = bool(_GOOD_KEY.search(key)) and not _BAD_KEY.search(key)
    bad_key = about or bool(_BAD_KEY.search(key)) or (names.atoms.search(key) is not None and not good_key)
    positive = bool(said.group("found") or said.group("yes"))
    if good_key and (said.group("yes") or said.group("no")):
        return Verdict(not positive, index, evidence, True, named=about)
    if bad_key and not re.search(r"\b(?:fix|prevent|mitigat|impact|severity)\w*", key):
        return Verdict(positive, index, evidence, True, named=about)
    if _ANSWER_KEY.search(key):
        if said.group("absent") or said.group("found"):
            return Verdict(positive, index, evidence, True)
        if re.match(r"^\W*true|^\W*false", said.group()) and yes is None:
            return None
        following = re.sub(rf"^\W*(?:{_YES}|{_NO})\W*", "", value)
        stated = next((weight for weight, _, _, cue in clauses_of(following, names) if not cue), 0.0)
        if yes is None:
            return Verdict(stated > 0, index, evidence, False, stated) if stated else None
        return Verdict(yes == positive, index, evidence, False, stated)
    return None if _LEADING.match(text) or "?" in match_gap(match) else Foreign.ANOTHER_MATTER


def match_gap(match: re.Match[str] | None) -> str:
    """What stands between the key and the value."""
    return "" if match is None else match.group()[len(match.group("key")) : match.start("value") - match.start()]
