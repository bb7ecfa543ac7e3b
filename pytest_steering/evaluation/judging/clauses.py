"""What one clause states: that the code is vulnerable, that it is not, or nothing about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pytest_steering.evaluation.judging import hushing, parts, words
from pytest_steering.evaluation.judging.cues import WEIGHT, described
from pytest_steering.evaluation.judging.names import Names
from pytest_steering.evaluation.judging.sequences import told_in_order

WINDOW = 8
"""Words before an accusing or acquitting one that can turn or hush it."""
NEAR = 120
"""Characters before and after it that are looked at."""
WEAK = 0.4
"""The weight of what is only an aim ("to prevent …") or holds under a condition."""
TOPIC = 0.5
"""The weight of a weakness that is named without a word that says it is there, and of a concession."""
POSSIBLE = 0.7
"""The weight of what may be; a little less where something leads to it."""

_SENSITIVE = {"safe", "secure", "sicher", "seguro"}
_AIM = re.compile(
    r"\bto (?:help )?(?:prevent|avoid|mitigate|protect against|guard against|protect from"
    r"|defend against)(?: \w+){0,3}$"
)
_CONTRAST = re.compile(r"\b(?:not|rather than|instead of|but no|never|not to)(?: (?:to|an?|from|by|the|any))*\s*$")
_PREPOSITION = re.compile(r"\W*(?:against|from|because|since|as|with|in|$|for)")
_OUR_CODE = re.compile(r"\bthis (?:code|function|program)|\bthe (?:given |provided )?code\b")


@dataclass(frozen=True)
class Stated:
    """What a clause states. ``value`` is positive for vulnerable, negative for secure; its size is the weight."""

    value: float
    words: str
    named: bool = False
    """It names the weakness that was asked about; when any was asked about, it names one."""
    cue: bool = False
    """It only describes something that speaks for the one or the other."""
    claimed: bool = False
    """Somebody else says it: a comment, a scanner."""
    turned: bool = False
    """It follows a contrast or a consequence in its sentence: "but …", "…, though", "hence …"."""


def clauses_of(sentence: str, names: Names, before: float = 0.0) -> Iterator[Stated]:
    """What each clause of a sentence states, leaving out those that state nothing.

    ``before`` is what the last clause of the sentence before states: "It seems safe. It is not."
    """
    conditional = elsewhere = named = claimed = defines = topical = False
    sentence = hushing.CONTRARY.sub("", sentence) if hushing.CLAIMED.search(sentence) else sentence
    refuted = hushing.CLAIMED.search(sentence) and hushing.REFUTED.search(sentence)
    turned = bool(parts.POSTPOSED.search(sentence))
    ordered = (
        None
        if claimed or hushing.CLAIMED.search(sentence)
        else told_in_order(names.asked.sub("that", sentence) if names.asked else sentence, names.number)
    )
    for clause, gap in _split(sentence):
        concedes = bool(parts.CONCESSION.match(clause)) and not parts.POSTPOSED.match(clause)
        turned = turned or (not concedes and bool(parts.TURN.search(clause)))
        claimed = bool(hushing.CLAIMED.search(clause)) or (claimed and not parts.CONTRAST.match(clause))
        opens = bool(parts.CONDITION.match(clause))
        conditional = (opens and not parts.EVEN_IF.match(clause)) or (conditional and gap == ",")
        defines = bool(hushing.DEFINITIONS.search(clause)) or (defines and clause.startswith(("which", "where")))
        if defines and not _OUR_CODE.search(clause):
            continue
        topic, topical = topical, bool(names.asked and names.asked.search(clause) and hushing.TOPICAL.match(clause))
        if gap == "(" and _only_names(clause, names):
            # "CWE-77 (command injection)" names it twice and says nothing of its own.
            continue
        if before and parts.ELLIPTIC.match(clause):
            # Twice as heavy as what it takes back.
            before = -2 * before
            yield Stated(before, clause, named, turned=True)
            continue
        if names.asked and not names.asked.search(clause) and names.others.search(clause):
            elsewhere = True
            continue
        rest = sentence.partition(clause)[2].strip(" ,")
        if _SEEMS.search(clause) and parts.BUT.search(rest) and not parts.ELLIPTIC.match(rest):
            continue
        stated = _stated(clause, names)
        if stated is None or (stated.cue and (elsewhere or ordered)):
            continue
        if stated.value < 0 and hushing.EXCEPTED.match(sentence):
            continue
        told = stated.cue and not parts.SUPPOSED.search(clause)
        happens = not opens or stated.value < 0 or _follows(clause, names)
        if conditional and not (told and happens) and (opens or parts.IRREAL.search(clause)):
            continue
        weak = concedes and stated.words not in clause.partition(",")[2]
        value = stated.value * (WEAK if conditional and not told else 1) * (TOPIC if weak else 1)
        if claimed and refuted:
            claimed, value = False, -value
        before, named = 0.0 if stated.cue and not claimed else value, stated.named or topic
        yield replace(stated, value=value, turned=turned, claimed=claimed, named=named)
        turned = turned or concedes
    if ordered and not elsewhere:
        yield Stated(ordered[0] * WEIGHT, ordered[1], cue=True, turned=turned)


_SEEMS = re.compile(
    r"\b(?:looks?|seems?|appears?|sounds?) (?:to be )?(?:\w+ )?(?:harmless|fine|safe|secure|innocent|innocuous|good"
    r"|correct|ok|okay"
    r"|right|reassuring|suspicious|scary|dangerous|unsafe|alarming|bad|risky|vulnerable)\b"
)
"""What only seems so, where a contrast follows."""
_CHANGED = re.compile(r"\b(?:remov|chang|ever|some ?day|compil|configur|refactor|dropp|someone else|in future)\w*\b")


def _follows(clause: str, names: Names) -> bool:
    """What is described follows from a case that happens: "when the name is longer, it lands behind the array"."""
    case, _, consequence = clause.partition(",")
    told = described(consequence, names.number) if consequence and not _CHANGED.search(case) else None
    return told is not None and told[0] > 0


_IN_THIS = re.compile(r"\b(?:in|on|with) (?:this|that) (?:regard|respect|count|matter)\b|\bto your question\b")
"""It is about the weakness that was asked about, which it does not name again."""


def _only_names(clause: str, names: Names) -> bool:
    """A weakness is named, in other words than just before, and nothing is said of it."""
    bare = clause.strip("( )")
    named = (names.asked and names.asked.match(bare)) or names.others.match(bare)
    return bool(named and not re.search(r"\w", re.sub(r"^ ?or wraparound", "", bare[named.end() :])))


def _stated(clause: str, names: Names) -> Stated | None:
    """What one clause states by itself, or None; it is not about another weakness only."""
    if hushing.DECLINES.search(clause):
        return None
    atoms = list(names.atoms.finditer(clause))
    if re.search(r"\bor\b", clause) and {"bad", "good"} <= {atom.lastgroup for atom in atoms}:
        return None
    own = names.asked.search(clause) if names.asked else None
    hushed = -9
    for atom in atoms:
        if _in_general(clause, atom):
            return None
        # "SQL injection vulnerabilities": what hushes the name hushes the noun that it goes with.
        value = None if atom.start() - hushed <= 2 else _value(clause, atom)
        if value is None:
            hushed = atom.end()
            continue
        if own is not None and own.start() > atom.start():
            value = _towards(clause[atom.end() : own.start()], atom, names, value)
        if atom.lastgroup == "name" and clause.endswith(":") and clause.strip("\"' :") == atom.group():
            # A heading in the line, "XSS: …": what follows says what is meant.
            return Stated(TOPIC, clause, cue=True)
        named = own is not None if names.asked else names.others.search(clause) is not None
        named = named or bool(names.asked and _IN_THIS.search(clause))
        return Stated(value, _around(clause, atom), named)
    # What happens to be a word of the weakness's name describes nothing.
    cue = described(names.asked.sub("that", clause) if own and names.asked else clause, names.number)
    return Stated(*cue, cue=True) if cue else None


def _split(sentence: str) -> Iterator[tuple[str, str]]:
    """Each clause, and the sign before it."""
    start = 0
    ends = [match.start() for match in parts.CLAUSE.finditer(sentence) if match.start() > 0]
    for end in [*ends, len(sentence)]:
        clause, gap = sentence[start:end].strip(" ,"), sentence[start : start + 1]
        start = end
        if clause.strip("() -"):
            yield clause, gap


def _value(clause: str, atom: re.Match[str]) -> float | None:
    """The signed weight of one accusing or acquitting word, or None when something hushes it."""
    bad = atom.lastgroup != "good"
    before = clause[max(0, atom.start() - NEAR) : atom.start()]
    window = " ".join(before.split()[-WINDOW:])
    after = clause[atom.end() : atom.end() + NEAR]
    if atom.group() in _SENSITIVE and not _is_predicate(before, after):
        return None
    if bad and hushing.SILENT_AFTER.match(after):
        return None
    hush = [match.group() for match in hushing.SILENCERS.finditer(window)]
    negated = bool(words.NEGATORS.search(window))
    if _AIM.search(window):
        hush = [word for word in hush if not word.startswith(("to ", "in order to", "help"))]
        if not negated:
            return -WEAK if bad and hushing.USES.search(clause) and not hush else None
    if negated:
        hush = [word for word in hush if not word.startswith(("mak", "ensur"))]
    if hush:
        return None
    if bad and words.EXCEPTIONS.search(before):
        return 1.0
    positive = bad == (_turns(window, after, bad=bad) % 2 == 0)
    weight = _weight(clause, window, atom, accuses=bad and positive)
    return weight if positive else -weight


def _is_predicate(before: str, after: str) -> bool:
    """ "The code is safe", not "a safe function"."""
    if words.NOUN_AFTER_GOOD.match(after):
        return False
    return bool(hushing.PREDICATE.search(before[-30:]) or _PREPOSITION.match(after))


def _turns(window: str, after: str, *, bad: bool) -> int:
    """How often the word is turned into its opposite."""
    turned = words.UNTURNED.sub(" ", window)
    negations = [match.group() for match in words.NEGATORS.finditer(turned)]
    if any(word in ("neither", "not", "no", "never") for word in negations):
        negations = [word for word in negations if word != "nor"]
    count = len(negations)
    if bad:
        count += len(words.BAD_NEGATORS.findall(turned))
        count += bool(words.DENIED_AFTER.match(after) and not words.UNPREVENTED_AFTER.match(after))
    else:
        count += bool(re.match(r"\s*(?:\w+ )?(?:is|are) not\b", after))
    return count


def _weight(clause: str, window: str, atom: re.Match[str], *, accuses: bool) -> float:
    weight = TOPIC if atom.lastgroup == "name" and not hushing.ASSERTING.search(clause) else 1.0
    if accuses and atom.group() != "vulnerable" and words.LEADS.search(window):
        return min(weight, POSSIBLE - 0.1)
    if words.HEDGES.search(" ".join(window.split()[-4:])):
        return min(weight, POSSIBLE)
    return weight


def _in_general(clause: str, atom: re.Match[str]) -> bool:
    """The clause opens with the weakness and says what it is like, wherever it occurs."""
    if atom.lastgroup != "name" and not atom.group().startswith("vulnerabilit"):
        return False
    after = clause[atom.end() : atom.end() + NEAR]
    opens = not re.sub(r"\b(?:and|an?|such)\b", "", clause[: atom.start()][-40:]).strip(" -\"'")
    return opens and bool(hushing.GENERAL.match(after)) and not words.DENIED_AFTER.match(after)


def _towards(between: str, atom: re.Match[str], names: Names, value: float) -> float:
    """The value of a predicate for the weakness asked about, by what stands between the two."""
    if words.EXCEPTIONS.search(between):
        return 1.0
    if re.search(r"\bneither\b", between):
        return -value
    if (names.others.search(between) or atom.lastgroup != "name") and _CONTRAST.search(between[-25:]):
        return -value
    return value


def _around(clause: str, atom: re.Match[str]) -> str:
    """The words that decided, with what can have turned them."""
    before = clause[max(0, atom.start() - 60) : atom.start()].split()[-4:]
    after = clause[atom.end() : atom.end() + 60].split()[:4]
    return " ".join([*before, atom.group(), *after])
