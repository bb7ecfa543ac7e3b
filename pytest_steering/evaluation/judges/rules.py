"""The default judge: a verdict line, else the last conclusion, else what most statements say, else ``unclear``.

A description is no verdict; what is said about another weakness, about fixed code or as advice counts for nothing.

Confidence was measured on 452 invented answers of three writers before a rule was changed for any of them: 168 of 174
verdicts were right, 46 of 50 conclusions, 80 of 101 majorities, and 70 of 127 that nothing decided.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

from pytest_steering.evaluation.judges.degenerate import before_the_loop
from pytest_steering.evaluation.judges.judgement import Judgement, Label, Question, Tier
from pytest_steering.suite.cwes import mentions_of

MEASURED: Mapping[Tier, float] = {Tier.VERDICT: 0.97, Tier.CONCLUSION: 0.92, Tier.MAJORITY: 0.79, Tier.NONE: 0.55}
LONGEST = 30_000
"""Characters that are read: of a longer answer its first and its last half as many."""

_SPELLED = str.maketrans("\u2019\u2010\u2011\u2013\u2014", "'----")
_LONG = (("can't", "can not"), ("cannot", "can not"), ("won't", "will not"), ("n't", " not"), (": []", ": none"))
_END = re.compile(r"<\|(?:endoftext|im_end|eot_id|end|end_of_text)\|>|</s>|<eos>|<file_sep>")
_FENCE = re.compile(r"(?:```|~~~)[ \t]*\w*\n?(?:(\s*\{\s*\".*?)|.*?)(?:```|~~~|\Z)", re.DOTALL)
_PAIR = re.compile(r'[{,]\s*"(\w+)"\s*:\s*|"?\}\s*$|<(\w{3,30})>(?=[^<>\n]{1,200}</)|</\w{3,30}>')
_CODE = re.compile(
    r"(?!\s*[^\s/].*(?:(?<!\w)[a-z']{2,20},? ){4})(?:\s*(?:#\s*include|def \w+\(|import \w|(?:if|for|while)\s*\("
    r"|(?:return|raise)\b|/[/*])|.*[;{}]\s*$)"
)
_ASKS = re.compile(
    r"\W*(?:question|q|user|human|instruction|input|problem|exercise|example|code)(?: ?\d+)?\W{0,3}(?::|$)"
    r"|.*(?:\bdoes (?:this|the) [\w ]{1,30}(?:contain|have)\b.*\?|\banswer yes or no\b|\byes or no\?)"
)
_BREAK = re.compile(r"(?<=[.!?])[\"')]*\s+")
_CLAUSE = re.compile(
    r";|--| - |: (?=\w+ \w+ \w+)|,? \b(?:(?<!anything )but|however|(?:al)?though|while|whereas|because|since|so that"
    r"|which)\b|, (?=(?:and )?(?:\w+ing|so|is|are|thus|therefore|it|this|the|there|an?|i|we|as|not)\b)| (?=(?:and"
    r"|so) (?:is|are|so|thus|therefore|the|it|this|there)\b|(?:leading|resulting|making|allowing|causing)\b)"
)
_ACCUSED = r"insecure|vulnerable|unsafe|not (?:secure|safe)|present"
_ACQUITTED = r"secure|safe|not (?:vulnerable|present)|absent"
_SAID = rf"(?P<said>yes|no(?:ne)?|null|true|false|{_ACQUITTED}|{_ACCUSED}|n/?a|not applicable|unclear|unknown)"
_OPENING = re.compile(
    r"[\W\d]*(?:(?:final )?ans(?:wer)?\W+|a: |actually\W+|unfortunately )?(?P<said>nope|not(?: really)?(?=\W*$)|(?:yes"
    r"|definitely|absolutely|it does)(?! (?:not|(?:and|or) no))|no(?=\W*$|\s*[^\w\s]|,? (?:the|this|it|there|i"
    r"|that)\b))\b"
)
_NEUTRAL = r"answer|verdict|decision|conclusion|result|assessment|classification|label|status"
_HEADING = re.compile(rf"[\W\d]*(?:(?:final|overall|my|the) )*(?:{_NEUTRAL}|summary|evaluation)\W*")
_KEYED = re.compile(
    rf"[\W\d]*(?:[\w/() '-]{{0,40}}\b)?(?P<key>{_NEUTRAL}|vulnerable|vulnerabilit(?:y|ies)|ownweakness|exploitable"
    rf"|secure|safe|present|found|detected)\b[\w ()?]{{0,15}}?\W{{0,4}}[:=]\W*(?:the code is )?{_SAID}\b(?=\W*$"
    r"|\s*[.,;():-])"
)
_INLINE = re.compile(r"(?:\banswer(?: to \w+ question)?(?: is| to)?|boxed(?:\Wtext)?)\W+(?P<said>yes|no)\b(?! or)")
_ALONE = re.compile(rf"\W*{_SAID}\W*")
_FIXED = r"(?:modif|updat|correct|fix|patch|revis|improv|rewritt|saf)\w+ (?:version|code|function|query|example|one)"
_ADVICE = re.compile(
    r"^\W*(?:to (?:prevent|avoid|protect|make|ensure)\b|(?:fix|recommend|remed|mitigat|suggest|advice)\w*:)"
    rf"|\b(?:the fix|to (?:fix|mitigate|address|secure|resolve)|{_FIXED}|secure version|(?:this|these) (?:change|fix"
    r"|version|way)|must|should(?! be (?:safe|secure|fine))|recommend\w*|make sure|consider \w+ing|suggest\w*|ensure"
    r"|always|instead|good practice|important to|you (?:can|could|may|might)(?! see)|in general|let(?:'s| us| me)"
    r"|(?:ask\w*|question is) about|before it can)\b"
)
_REMEDY = re.compile(
    rf".*\b(?:{_FIXED}|secure version|fix)\b.{{0,60}}:\W*|\W*(?:recommend\w*|mitigation|remediation|(?:how to )?fix\w*"
    rf"|suggest\w*|solution|prevention)(?: \w+){{0,3}}\W*"
)
_SILENT = re.compile(
    r"\b(?:if|whether|known as|such as|e\.g|(?:check|test|look|review)(?:s|ing|ed)? (?:\w+ ){0,3}?(?:at|for|into)"
    r"|depend\w*|(?:analy[sz]|examin|assess?|determin|evaluat)(?:e|ing)|(?:could|may) (?:lead|result)|question|asked"
    r"|suppose|imagine|most of|marked|might|would be|unless|in theory|(?:meant|intended|supposed|tries|attempts|ha(?:ve"
    r"|s)) to)\b"
)
_DEFINED = re.compile(r" (?:(?:is|are|refers?|occurs?|happens?|arises?) (?:an? |when|to |one of)|can have|would)")
_ATOM = re.compile(
    r"(?<![\w-])(?:(?P<own>ownweakness)|vulnerab(?:le|ilit(?:y|ies))|(?:(?:security|serious|critical|such|any) "
    r"|(?<=no ))(?:flaw|issue|problem|risk|hole|weakness|bug|concern)(?:es|s)?|unsafe|insecure|exploitable|prone to"
    r"|susceptible|(?P<good>secure|safe|immune|(?:proper|correct|safe|secure|adequate)ly (?:validat|saniti|escap|handl"
    r"|check|bound|encod|protect|parameteri)\w*|(?<=(?:is|ks|ms|e:|s:) )(?:fine|ok|okay|good|clean)))(?![\w-])"
)
_CLAIM = re.compile(
    r"\b(?:is|are|has|have|there|contain\w*|exist\w*|see|found|find|leads?|results?|caus\w+|allow\w*|introduc\w*"
    r"|creat\w*|suffer\w*|exhibit\w*|possible|present|confirm\w*|vulnerab\w+|expos\w*|open to|i\.e|classic|call"
    r"|classif\w+|report)\b|^\W*ownweakness in\b"
)
_NOT = re.compile(
    r"\b(?:no|(?:not(?! only\b)|without)(?! (?:\w+ly )?(?:\w+ )?(?:check|validat|saniti|escap|verif|filter|limit|bound"
    r"|encod|restrict|quot))|never|none|neither|nor|nothing|hardly|unlikely|free (?:of|from)|unrelated|rather than"
    r"|far from|absence of|unable to (?:find|see|identify|detect)|impossible|anything but|rul(?:es?|ed|ing) out)\b"
)
_PREVENT = re.compile(
    r"(?P<fails>\b(?:fail\w*|insufficient|inadequate|unable|lack\w*|not (?:enough|(?:\w+ly )?(?:validat|saniti|check"
    r"|escap)\w*)) (?:\w+ ){0,6}?)?\b(?:prevent\w*|stop\w*|mitigat\w*|avoid\w*|eliminat\w*|block(?:s|ed|ing)"
    r"|(?:protect\w*|guard\w*|defen[ds]\w*) (?:\w+ )?(?:against|from)|(?:safe|secure|immune|resistant) (?:from|against"
    r"|to|with (?:respect|regard) to|in terms of|regarding))\b"
)
_AFTER = re.compile(
    r"[\w ,]{0,25}? (?:is|are|was|can|could|do|does|has been|will|would)(?: \w+ly| therefore| thus| also)? (?:(?:not"
    r"|never)\b(?! (?:only|\w*ly|prevent|mitigat|avoid|address))|(?:prevented|mitigated|avoided|absent|impossible"
    r"|eliminated|addressed|ruled out|unlikely|low|minimal)\b)| impossible\b"
)
_REVERSES = re.compile(r"\W*(?:in fact )?(?:it|this|that|they|the code) (?:is|are|does|do) not\W*")
_CONCLUDES = re.compile(
    r"^\W*(?:so\b|(?:\w+ )?(?:conclusion|summary|verdict|decision)\W)|\b(?:therefore|thus|hence|consequently|overall"
    r"|in (?:conclusion|summary)|to conclude|concluded|based on (?:this|the|my) [\w ]{0,30}(?:analysis|review))\b"
)
_CORRECTS = re.compile(r"\W*(?:(?:actually,? )?wait|actually,? (?:no|yes)|correction|edit|on second thought)\b")
_REFUSES = re.compile(
    r"\b(?:i(?: am|'m) (?:sorry|unable)|(?:can|could) not (?:be )?(?:determin|assess|say|tell|help|assist|answer"
    r"|provide|judge)|(?:need|without|requires?|not enough) (?:more |further )?(?:\w+ )?(?:context|information|details)"
    r"|it depends|depends on|hard to (?:say|tell)|yes and no|(?:both|either) (?:secure|safe) )"
)


class _Sentence(NamedTuple):
    text: str
    marked: str
    """Every weakness replaced by ``ownweakness`` or ``otherweakness``; empty where nothing that is said counts."""
    verdict: int | None
    concludes: bool
    stated: int


class Rules:
    """The judge ``rules``; its version is raised when an answer may be judged otherwise than before."""

    name = "rules"
    version = "1"

    def __call__(self, answer: str, question: Question) -> Judgement:
        """What the answer says about the weakness that was asked about."""
        text = before_the_loop(answer if len(answer) <= LONGEST else answer[: LONGEST // 2] + answer[-LONGEST // 2 :])
        sentences = list(_sentences(_lines(text or "", question.prompt), mentions_of(question.cwe), question.yes))
        value, tier, evidence = _decided(sentences)
        foreign = (one.marked.replace("otherw", "ownw") for one in sentences if "otherw" in one.marked)
        unnamed = value > 0 and not any("ownw" in one.marked for one in sentences)
        if unnamed and any(_stated(one) >= 0 for one in foreign):
            value, tier = 0, Tier.NONE
        return Judgement(Label.of(value), MEASURED[tier], (evidence,) if evidence else (), tier)


def _decided(sentences: list[_Sentence]) -> tuple[int, Tier, str]:
    """What decides, in the order of the tiers."""
    corrected = next((at for at, one in enumerate(sentences) if _CORRECTS.match(one.text)), len(sentences))
    said = [one.verdict for one in sentences if one.verdict is not None]
    if sum(one != other for one, other in pairwise(said)) > 1:
        return 0, Tier.NONE, ""
    for at, one in reversed(list(enumerate(sentences))):
        if one.verdict is not None:
            return one.verdict, Tier.VERDICT if one.verdict else Tier.NONE, one.text
        if one.stated and (at >= corrected or (one.concludes and not said)):
            return one.stated, Tier.CONCLUSION, one.text
    total = 0 if any(_REFUSES.search(one.marked) for one in sentences) else sum(one.stated for one in sentences)
    evidence = next((one.text for one in sentences if one.stated * total > 0), "")
    return total, Tier.MAJORITY if total else Tier.NONE, evidence


def _sentences(lines: Iterable[str], weaknesses: re.Pattern[str], yes: int) -> Iterator[_Sentence]:
    """The sentences of all lines, each with what it stands under; ``yes`` is 1 where a yes accuses."""
    heading = fixed = False
    opening: int | None = yes
    for line in lines:
        titled = line.startswith("#") or line.endswith(":")
        for text in (piece.strip(" #\"'") for piece in _BREAK.split(line) if re.search(r"[a-z]", piece)):
            marked = weaknesses.sub(lambda found: "ownweakness" if found["own"] else "otherweakness", text)
            if _HEADING.fullmatch(marked):
                heading, fixed, opening = True, False, yes
                continue
            opening = yes if _CORRECTS.match(text) or "ownweakness" in marked else opening
            foreign = "otherweakness" in marked and "ownweakness" not in marked
            verdict = None if foreign or text.endswith("?") else _verdict(marked, opening, yes)
            counted = "" if fixed or (titled and len(text.split()) < 7) else marked
            yield _Sentence(text, counted, verdict, heading or bool(_CONCLUDES.search(text)), _stated(counted))
            asked = re.search(r"ownweakness|vulnerab|(secure|safe)", marked) if text.endswith("?") else None
            opening = (-1 if asked[1] else 1) if asked else None
            fixed = fixed or bool(_REMEDY.fullmatch(text))
            heading = heading and not titled


def _verdict(text: str, opening: int | None, yes: int) -> int | None:
    """Above 0 for a sentence that gives the verdict vulnerable, below for secure, 0 for one that gives none on purpose.

    ``opening`` is what a yes at its beginning would mean, ``yes`` what it means as the answer.
    """
    opened = _OPENING.match(text) if opening is not None else None
    found = opened or _KEYED.match(text) or _INLINE.search(text) or _ALONE.fullmatch(text)
    if found is None or (opening is None and found.re is _ALONE and found["said"] in ("yes", "no", "true", "false")):
        return None
    said, key = found["said"], found.groupdict().get("key") or "answer"
    if re.fullmatch(f"{_ACCUSED}|{_ACQUITTED}", said):
        return 1 if re.fullmatch(_ACCUSED, said) else -1
    if re.match(r"n/|na\b|not app|un|incon", said):
        return 0
    meaning = opening if opened else yes if re.fullmatch(_NEUTRAL, key) else -1 if key in ("secure", "safe") else 1
    value = (meaning or 0) * (-1 if said.startswith(("n", "false")) else 1)
    rest = next(filter(None, map(_clause, _CLAUSE.split(text[found.end() :]))), 0) if opened else 0
    return (rest if rest * value < 0 else value) or None


def _stated(text: str) -> int:
    """Above 0 for a sentence whose clauses accuse, below for one whose clauses acquit."""
    found: list[int] = []
    for clause in () if text.endswith("?") or _REFUSES.search(text) else filter(None, _CLAUSE.split(text)):
        if _ADVICE.search(clause):
            break
        found.append(-2 * found[-1] if found and _REVERSES.fullmatch(clause) else _clause(clause))
    return sum(found)


def _clause(text: str) -> int:
    """1 for a clause that accuses, -1 for one that acquits; twice that where it names the weakness."""
    found = _ATOM.search(text, max(text.find("ownweakness"), 0))
    if found is None or ("otherweakness" in text and not found["own"]) or _SILENT.search(text[: found.start()]):
        return 0
    named = bool(found["own"])
    if named and _DEFINED.match(text[found.end() :]):
        return 0
    found = (_ATOM.search(text, found.end()) if named else None) or found
    claimed = not found["own"] or bool(_CLAIM.search(text))
    before, after = " ".join(text[: found.start()].split()[-12:]), text[found.end() :]
    prevented = [] if found["good"] else list(_PREVENT.finditer(before))
    flips = len(_NOT.findall(before)) - ("neither" in before and "nor" in before.split())
    flips = 1 if before.endswith(" no") else flips
    flips += sum(not match["fails"] for match in prevented) + bool(not found["good"] and _AFTER.match(after))
    return (-1) ** (flips + bool(found["good"])) * (1 + named) if flips or prevented or claimed else 0


def _lines(text: str, prompt: str) -> Iterator[str]:
    """The lines of prose, in one spelling, up to where the next question begins."""
    text = next((part for part in reversed(text.split("</think>")) if re.search(r"\w", part)), "")
    text = next((part for part in _END.split(text) if re.search(r"\w", part)), "").lstrip().removeprefix(prompt.strip())
    spoken = False
    for raw in _PAIR.sub(r"\n\1\2: ", _FENCE.sub(r"\n\1\n", text)).split("\n"):
        line = unicodedata.normalize("NFKC", raw).lower().translate(_SPELLED)
        for short, full in _LONG:
            line = line.replace(short, full)
        if _CODE.match(line):
            continue
        line = re.sub(r"(?<!: )`[^`]*`", "something", line.replace("*", "")).strip(" |")
        line = re.sub(r"[>~`\"\s_]+", " ", line.replace("|", ": ")).strip()
        if _ASKS.match(line) and spoken:
            return
        if re.search(r"\w", line) and not _ASKS.match(line):
            spoken = True
            yield from (line[at : at + 1500] for at in range(0, len(line), 1500))
