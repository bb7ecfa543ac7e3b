"""What an answer states, clause by clause: that the code is vulnerable, that it is not, or nothing about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_steering.evaluation.judging import words
from pytest_steering.evaluation.judging.names import Names
from pytest_steering.evaluation.judging.normalise import ASKED, Line

BEFORE = 8
"""Words before an accusing or acquitting one that can turn or hush it."""

_SENTENCE = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\betc)(?<!^\d)[.!?]+[\"')]*(?=\s|$)|(?<=\w):\s|;\s")
_SUBJECT = (
    r"(?:it|this|that|these|they|there|which|an? attacker|attackers|we|i|you|one|no|"
    r"(?:the|this|your) (?:\w+ )?(?:code|snippet|function|program|application|query|queries|script|method|implementation|handler|result|issue|vulnerability))"
)
_CLAUSE = re.compile(
    r"\b(?=(?:but|however|although|though|even though|while|whereas|because|since|so that|which|yet|nevertheless|nonetheless|unless|therefore|thus|hence|weil|aber|denn|da)\b)"
    rf"|,\s*(?={_SUBJECT}\b|so\b|and\b|is\b|are\b|has\b|does\b|contains\b|remains\b|nor\b|not\b|as\b|making\b|leading\b|resulting\b|allowing\b|causing\b|leaving\b|it's\b|if\b|when\b|even if\b)"
    r"|\b(?=and (?:it|this|the|there|is|are|can|could|may|has|have|contains?|leads?|allows?|causes?|therefore|thus|hence|so|then|remains?)\b)"
    r"|\b(?=(?:making|leading to|resulting in|leads to|allowing|leaving|which)\b)|\s-+\s|\(|\)"
)
_QUESTION = re.compile(r"\?\W*$")
_CONDITION = re.compile(r"^\W*(?:and |or |but |so |then |even )?(?:if|unless|suppose|assuming|provided|in case|should|were|had|when|whether|had)\b")
_IRREAL = re.compile(r"\b(?:would|could|might|may|can|should|were|had)\b")
_CONCESSION = re.compile(r"^\W*(?:but |and |so |thus |hence )?(?:although|though|even though|while|whereas|despite|even if|in spite)\b")
_CONCLUSION = re.compile(
    r"^\W*(?:(?:yes|no|and|so|but)\W+)?(?:therefore|thus|hence|so|overall|in conclusion|in summary|to summari[sz]e|to conclude|to sum up|in short|ultimately|conclusion|summary|"
    r"decision|verdict|final answer|answer|bottom line|as a result|consequently|accordingly|all in all|in total|finally,? (?:the|this) code|short version|final verdict|"
    r"(?:based|building) (?:on|upon) (?:this|that|the|these|my|a|our|a-s)|given (?:this|that|the above|these)|from (?:this|the above)|it (?:can|may) be concluded|i conclude|we can conclude|daher|also ist)\b"
)
_CONCLUDING_HEAD = re.compile(
    r"^\W*(?:\d+\W+)?(?:final |overall |short |my )?(?:conclusions?|summary|verdict|decision|answer|result|assessment|final|judge?ment|overall|tl;?dr|bottom line|fazit)\b"
)
_REMEDY_HEAD = re.compile(
    r"\b(?:recommend\w*|fix(?:es|ed|ing)?|remed\w+|mitigat\w*|suggest\w*|how to|solutions?|hardening|improve\w*|best practices?|prevention|"
    r"advice|minor|nit|corrected|safer|secure (?:version|code|alternative|implementation)|next steps|patched|background|general|what is|definition|note|impact|example)\b"
)
_REMEDY = re.compile(
    r"\bto (?:fix|address|remedy|resolve|correct|remediate) (?:this|these|the|it|such|those|that|any|security|your)\b"
    r"|^\W*(?:in order )?to (?:fix|prevent|mitigate|avoid|address|remedy|resolve|protect|make|secure|ensure|improve)\b"
    r"|\b(?:should|must|ought to) (?:be|have|use|also|always|check|validate|instead|consider|either|add|do|not|allocate|only|include|take|set|replace|escape|sanitize|limit)\b"
    r"|\byou (?:can|could|may|might|should|need to|must|would)\b|\bi(?: would)? (?:suggest|recommend|advise)\b|\brecommend(?:ed|s)?\b|\bconsider (?:using|adding|\w+ing)\b"
    r"|\b(?:is|be) (?:always |generally |also )?(?:important|advisable|essential|crucial|good practice|best practice|a good idea|better) to\b|\bmake sure\b|\bbe sure to\b|\bnever trust\b|\bremember\b"
    r"|\b(?:could|can) be (?:fixed|prevented|avoided|mitigated|improved|made|resolved|addressed|rewritten|corrected)\b|\bwould (?:prevent|fix|make|avoid|mitigate|allow the code)\b"
    r"|\b(?:this|these|the|with|after|by) (?:\w+ ){0,3}(?:change|fix|modification|update|approach|technique|improvement|correction|patch|measure)(?:s|es)?\b"
    r"|^\W*(?:use(?![ -]after)|replace|add|sanitize|validate|ensure|change|avoid|apply|limit|check|move|set|escape|bind|pass|switch|prefer|implement|consider|keep|save|either|instead|one suggestion|a safer|a secure|the fix|fix)\b(?!.*\bis (?:not )?(?:vulnerable|present))"
)
_REWRITTEN = re.compile(
    r"\b(?:here|below|following)\b[^.]{0,40}\b(?:fixed|modified|updated|corrected|example|rewritten|safe|safer|secure|improved|revised|version)\b"
    r"|(?<!\bis a )\b(?:modified|updated|corrected|fixed|revised|rewritten|safer|improved|patched|secure|new) (?:version|code|implementation|function|example|snippet)\b"
    r"|\bin (?:this|the) (?:modified|updated|corrected|fixed|new|improved|revised) \w+\b|\bwould look like\b|\bcould look like\b|\bthis way\b|^\W*with (?:this|these)\b"
)
_REVISION = re.compile(
    r"^\W*(?:hmm+\W+|no\W+|oh\W+|but\W+)?(?:wait|actually|correction|on second thoughts?|on closer (?:inspection|look|examination)|upon closer (?:inspection|look|examination|review)|"
    r"but on second thoughts?|let me (?:reconsider|re-?check|re-?examine|double[- ]check|look again)|(?:looking|checking|reading|thinking) (?:it )?(?:again|more closely|closer)|scratch that|i was wrong|my mistake|i stand corrected|apologies|sorry)\b"
    r"|\b(?:wait,|on second thoughts?|upon closer inspection|on closer inspection|i was wrong|i made a mistake|correction:|scratch that|let me reconsider)"
)
_DECLINES = re.compile(
    r"\bnot (?:\w+ )?(?:able to |possible to )?(?:help|assist|provide (?:assistance|help)|comply|fulfil+|determine|tell|judge|assess|answer|know|be determined|be sure|be certain)\b"
    r"|\b(?:hard|difficult|impossible) to (?:say|tell|determine|judge|assess)\b|\bdepends on\b"
)
_ELLIPTIC = re.compile(
    r"^\W*(?:(?:but|however|yet|and|though|in fact|in reality|actually|really|unfortunately|fortunately)\W+)*(?:it|this|that|which|the code)(?: really| actually| in fact)? (?:is|are|does|do|was) not"
    r"(?: the case| true| so| correct)?(?: here| at all)?\W*$"
)
_USES = re.compile(r"\b(?:uses?|use of|using|used|checks?|validates?|saniti[sz]es?|escapes?|employs?|implements?|performs?|quotes?|encodes?|binds?|limits?|there (?:is|are))\b")
_ATTRIBUTE = re.compile(
    r"(?:\b(?:is|are|be|was|were|appears?|seems?|looks?|remains?|considered|fairly|quite|reasonably|completely|fully|entirely|totally|generally|relatively|not|nicht|no|pas|perfectly|100|therefore|thus|"
    r"and|as|otherwise|deemed|it|code|sufficiently|adequately|inherently|ist|es|est|very|also|pretty|absolutely|probably|likely|to be|already|technically|strictly|basically|mostly|still|both|well|a|concluded)\W+|^\W*)$"
)


@dataclass(frozen=True)
class Reading:
    """What one clause states. ``value`` is positive for vulnerable, negative for secure; its size is the weight."""

    value: float
    words: str
    line: int
    concluding: bool = False
    named: bool = False
    """It names the weakness that was asked about."""
    part: bool = False
    """It concludes on one part of the code, as in "Based on A-S1, …"."""
    revising: bool = False
    """It follows the last place where the writer thought again."""
    cue: bool = False
    sentence: int = 0


def read(lines: tuple[Line, ...], names: Names, *, skip: frozenset[int] = frozenset()) -> tuple[Reading, ...]:
    """What the lines state, in their order; advice, definitions, conditions and questions state nothing."""
    found: list[Reading] = []
    advising = rewritten = concluding = False
    revised = -1
    number = 0
    for index, line in enumerate(lines):
        if line.code or not line.text or index in skip:
            continue
        if line.heading or (line.text.endswith(":") and len(line.text.split()) <= 8):
            advising = bool(_REMEDY_HEAD.search(line.text)) and not _CONCLUDING_HEAD.match(line.text)
            concluding = bool(_CONCLUDING_HEAD.match(line.text))
            if concluding:
                rewritten = False
            if not line.text.endswith((".", "!")) and not re.search(r"\b(?:is|are|no|not|contains?|has|does)\b", line.text):
                continue
            if advising:
                continue
        label = re.match(r"^\W*(?:\d+\W+)?([\w -]{3,40}):\s", line.text)
        heads = bool(label and _CONCLUDING_HEAD.match(label.group(1)))
        advises = bool(label and _REMEDY_HEAD.search(label.group(1)) and not heads)
        if advises or (advising and line.listed):
            continue
        for sentence in sentences(line.text):
            number += 1
            if _REVISION.search(sentence):
                revised = number
            if _QUESTION.search(sentence) or ASKED.search(sentence):
                continue
            ends = concluding or heads or bool(_CONCLUSION.match(sentence))
            if _REWRITTEN.search(sentence):
                rewritten = True
                continue
            if (rewritten and not ends) or (advising and not ends) or _REMEDY.search(sentence):
                continue
            before = found[-1].value if found and not found[-1].cue and found[-1].sentence == number - 1 else 0.0
            for value, evidence, named, cue in clauses_of(sentence, names, before):
                part = bool(re.search(r"\ba-s\d|\bs\d\b", sentence))
                found.append(Reading(value, evidence, index, ends, named, part, cue=cue, sentence=number))
    if revised < 0 or not any(reading.sentence >= revised and not reading.cue for reading in found):
        return tuple(found)
    return tuple(
        reading if reading.sentence < revised else Reading(**{**reading.__dict__, "revising": True}) for reading in found
    )


def sentences(text: str) -> Iterator[str]:
    """The sentences of a line; what stands after a colon or semicolon is one of its own."""
    start = 0
    for match in _SENTENCE.finditer(text):
        piece = text[start : match.end()].strip()
        start = match.end()
        if piece:
            yield piece
    rest = text[start:].strip()
    if rest:
        yield rest


def clauses_of(sentence: str, names: Names, before: float = 0.0) -> Iterator[tuple[float, str, bool, bool]]:
    """For each clause that states something: signed weight, the words, whether it names the weakness, whether it is a cue.

    ``before`` is what the last clause of the sentence before states: "It seems safe. It is not."
    """
    start = 0
    named = False
    conditional = elsewhere = False
    ends = [match.start() for match in _CLAUSE.finditer(sentence) if match.start() > 0] + [len(sentence)]
    for end in ends:
        clause, gap = sentence[start:end].strip(" ,"), sentence[start : start + 1]
        start = end
        if not clause.strip("() -"):
            continue
        opens = bool(_CONDITION.match(clause))
        conditional = opens or (conditional and gap == ",")
        if words.DEFINITIONS.search(clause) and not re.search(r"\bthis (?:code|function|program)|\bthe (?:given |provided )?code\b", clause):
            continue
        if before and _ELLIPTIC.match(clause):
            before = -2 * before
            yield before, clause, named, False
            continue
        reading = clause_of(clause, names)
        if names.asked and names.others.search(clause) and not names.asked.search(clause):
            elsewhere = True
        if reading is None or (elsewhere and reading[3]):
            continue
        value, evidence, named, cue = reading
        if conditional and (_IRREAL.search(clause) or opens):
            continue
        if conditional:
            value *= 0.4
        if _CONCESSION.match(clause):
            value *= 0.5
        before = 0.0 if cue else value
        yield value, evidence, named, cue


def clause_of(clause: str, names: Names) -> tuple[float, str, bool, bool] | None:
    """What one clause states, or None."""
    if _DECLINES.search(clause):
        return None
    own = names.asked.search(clause) if names.asked else None
    if names.asked and own is None and names.others.search(clause):
        return None
    if re.search(r"\bor\b", clause) and {"bad", "good"} <= {atom.lastgroup for atom in names.atoms.finditer(clause)}:
        return None
    hushed = -9
    for atom in names.atoms.finditer(clause):
        if _in_general(clause, atom):
            return None
        # "SQL injection vulnerabilities": what hushes the name hushes the noun that it goes with.
        value = None if atom.start() - hushed <= 2 else _value(clause, atom, names)
        if value is None:
            hushed = atom.end()
            continue
        if own is not None and own.start() > atom.start():
            value = _towards(clause, atom, own, names, value)
        named = own is not None if names.asked else names.others.search(clause) is not None
        return value, _around(clause, atom), named, False
    return _cue(clause)


def _value(clause: str, atom: re.Match[str], names: Names) -> float | None:
    bad = atom.group("good") is None
    before = clause[max(0, atom.start() - 120) : atom.start()]
    window = " ".join(before.split()[-BEFORE:])
    after = clause[atom.end() : atom.end() + 120]
    if not bad and atom.group() in {"safe", "secure", "sicher", "seguro"}:
        if words.NOUN_AFTER_GOOD.match(after):
            return None
        if not _ATTRIBUTE.search(before[-30:]) and not re.match(r"\W*(?:against|from|because|since|as|with|in|$|for)", after):
            return None
    if bad and words.SILENT_AFTER.match(after):
        return None
    weight = 1.0 if atom.lastgroup != "name" or words.ASSERTING.search(clause) else 0.5
    aimed = re.search(r"\bto (?:help )?(?:prevent|avoid|mitigate|protect against|guard against|protect from|defend against)(?: \w+){0,3}$", window)
    hush = [match.group() for match in words.SILENCERS.finditer(window)]
    if aimed:
        hush = [word for word in hush if not word.startswith(("to ", "in order to", "help"))]
        if bad and _USES.search(clause) and not words.NEGATORS.search(window) and not hush:
            return -0.4
        if not words.NEGATORS.search(window):
            return None
    if words.NEGATORS.search(window):
        hush = [word for word in hush if not word.startswith(("mak", "ensur"))]
    if hush:
        return None
    turned = words.UNTURNED.sub(" ", window)
    negations = [match.group() for match in words.NEGATORS.finditer(turned)]
    if any(word in ("neither", "not", "no", "never") for word in negations):
        negations = [word for word in negations if word != "nor"]
    count = len(negations)
    if bad:
        count += len(words.BAD_NEGATORS.findall(turned))
        if words.UNPREVENTED_AFTER.match(after):
            pass
        elif words.DENIED_AFTER.match(after):
            count += 1
    elif re.match(r"\s*(?:\w+ )?(?:is|are) not\b", after):
        count += 1
    exception = words.EXCEPTIONS.search(before)
    if exception and bad:
        return 1.0
    if bad and not count and not atom.group() == "vulnerable" and words.LEADS.search(window):
        weight = min(weight, 0.6)
    elif words.HEDGES.search(" ".join(window.split()[-4:])):
        weight = min(weight, 0.7)
    positive = bad == (count % 2 == 0)
    return weight if positive else -weight


def _in_general(clause: str, atom: re.Match[str]) -> bool:
    """The clause opens with the weakness and says what it is like, wherever it occurs."""
    after = clause[atom.end() : atom.end() + 120]
    if atom.lastgroup != "name" and not atom.group().startswith("vulnerabilit"):
        return False
    opens = not re.sub(r"\b(?:an?|such)\b", "", clause[: atom.start()][-40:]).strip(" -\"'")
    return opens and bool(words.GENERAL.match(after)) and not words.DENIED_AFTER.match(after)


def _towards(clause: str, atom: re.Match[str], own: re.Match[str], names: Names, value: float) -> float:
    """The value of a predicate for the weakness asked about, when the clause names others before it too."""
    between = clause[atom.end() : own.start()]
    if words.EXCEPTIONS.search(between):
        return 1.0
    if re.search(r"\bneither\b", between):
        return -value
    if names.asked and (names.others.search(between) or atom.group("name") is None):
        last = between[-25:]
        if re.search(r"\b(?:not|rather than|instead of|but no|never|not to)(?: (?:to|an?|from|a|by|the|any))*\s*$", last):
            return -value
    return value


def _cue(clause: str) -> tuple[float, str, bool, bool] | None:
    """What a clause without a judging word describes: a check that is missing, a check that is there."""
    bad = words.CUES_BAD.search(clause)
    good = words.CUES_GOOD.search(clause)
    if bad:
        window = " ".join(clause[max(0, bad.start() - 60) : bad.start()].split()[-5:])
        count = len(words.NEGATORS.findall(window)) + len(words.BAD_NEGATORS.findall(window))
        value = 0.5 if count % 2 == 0 else -0.5
        return value, bad.group(), False, True
    if good:
        window = " ".join(clause[max(0, good.start() - 60) : good.start()].split()[-5:])
        if words.NEGATORS.search(window):
            return 0.5, good.group(), False, True
        if re.search(r"\b(?:if|should|would|could)\b", window):
            return None
        return -0.5, good.group(), False, True
    return None


def _around(clause: str, atom: re.Match[str]) -> str:
    """The words that decided, with what can have turned them."""
    before = clause[max(0, atom.start() - 60) : atom.start()].split()[-4:]
    after = clause[atom.end() : atom.end() + 60].split()[:4]
    return " ".join([*before, atom.group(), *after])
