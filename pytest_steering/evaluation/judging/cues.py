"""What is described rather than judged: a check that is missing, a parameter that is bound, a pointer that is stale."""

from __future__ import annotations

import re
from functools import lru_cache

from pytest_steering.evaluation.judging import words
from pytest_steering.evaluation.judging.mechanisms import ACTOR, BAD, GOOD, phrases, told

WEIGHT = 0.5
"""Of each cue."""
_CHECKED = (
    r"(?:check|valid|sanit|escap|verif|encod|quot|parameteri|compar|restrict|null-terminat|test|inspect"
    r"|filter|guard|examin|look(?:ed)? at|consider|confirm|enforc)\w*"
)
_BAD = (
    r"without (?:being |any |a |proper |first |prior |adequate |sufficient |further |properly |appropriate |ever "
    r"|even )*"
    rf"(?:{_CHECKED}|looking|regard|protection)",
    r"no (?:bounds?|null|length|size|range|input|sanity|overflow|upper|type|access)[ -](?:check|valid|sanit)\w*",
    r"no (?:check|checks|validation|saniti[sz]ation|escaping|encoding|filtering|verification|regard|protection|guard)",
    rf"not (?:being |been |be |properly |correctly |adequately |sufficiently |ever |even |really "
    rf"|actually )*{_CHECKED}",
    r"fails? to (?:check|valid|sanit|escap|bound|verif|encod|guard|limit|restrict|handle)\w*",
    r"(?:un(?:checked|validated|sani\w+|escaped|bounded|filtered|verified|guarded|protected|tested|trusted)|ungepruft)",
    rf"never (?:being |been |be )?{_CHECKED}|(?:performs?|does|has|have|applies|receives) no {_CHECKED}",
    r"(?:checks?|tests?|validation|guards?|limits?|verification|escaping|sanit\w+|filter\w*|assert\w*|protection|"
    r"immunity|defen[cs]e|safety|guarantee) .. (?:missing|absent|too late|gone|incomplete|useless|skipped|lost|void"
    r"|defeated|undone|bypassed|vanish(?:es)?|disappears?|compiled out|removed|optimi[sz]ed away|ineffective)",
    r"(?:missing|lacks?|lacking|forgets?|forgot|omits?|skips?) (?:\S+ )?(?:checks?|tests?|validation|guards?|escaping"
    r"|verification|bounds|saniti[sz]ation|encoding)",
    r"(?:nothing|nobody|no one|neither|none) (?!to )(?:\S+ ){0,3}(?:stops?|prevents?|keeps?|hinders?|checks?"
    r"|compares?|limits?"
    r"|rejects?|filters?|guards?|verifies|validates?|ensures?|restricts?|tests?|does that|escapes?|sanitizes?)",
    rf"{ACTOR} (?:can|could|may|might|would be able to|is able to|will be able to)(?! not| never| only| no longer)",
    rf"{ACTOR} to (?:read|write|run|execute|inject|access|overwrite)",
    rf"(?:allow|let|enabl)\w* (?:an? |any |the )?(?:\S+ )?{ACTOR}|(?:gives?|grants?|hands?|offers?) (?:an? |any |the )?"
    rf"(?:\S+ )?{ACTOR}",
    r"one can (?:log|read|write|run|execute|inject|overwrite|steal|forge|take|become|get|reach|delete|change|obtain)",
    r"(?:log|logs|logged|logging|sign|signs) in as|impersonat\w+|hijack\w*|steals?|stolen|forg(?:e|es|ed)|takes? over"
    r"|exfiltrat\w+|guessable|man in the middle",
    r"(?:does|do|will|runs?|executes?|makes? .. do) (?:exactly )?(?:whatever|anything)"
    r"|whatever (?:[^\s,]+ ){1,6}(?:is|gets"
    r"|be) (?:executed|run(?! through)|evaluated|interpreted|opened|served)",
    r"(?:one|two|three|several) (?:\w+ )?findings?|(?:insufficient|inadequate|ineffective)",
    r"(?:slips?|gets?|sneaks?|goes|passes|walks|squeezes) (?:right |straight )?(?:past|around|through) (?:it|them|this"
    r"|that|the (?:check|filter|test|validation|guard|list|regex|pattern)|unnoticed|unharmed|untouched)"
    rf"|under (?:the )?(?:full )?{ACTOR}(?:'s|')? control|controlled by (?:an? |the )?{ACTOR}",
    r"(?:cancels?|undoes|reverses?|defeats?|nullif\w+|negates?|voids?) (?:\S+ )?(?:effects?|protection|escaping|it|this"
    r"|that|checks?|encoding|work|purpose)|(?:decoded|unescaped|unquoted) again",
    r"(?:easily|trivially|simply|quickly) (?:evaded|bypassed|fooled|defeated|circumvented|avoided|guessed|tricked)",
    r"(?:filter|check|list|pattern|regex|it|escaping) (?:\S+ )?(?:misses|overlooks|forgets|ignores|knows nothing)",
    r"but (?:it |this |that )?fails|not (?:enough|sufficient|adequate|help|suffice|hold|stop)(?: it| that| this"
    r"| them)?",
    r"not prevent|(?:can|could|may) (?:easily |trivially |also |still )?be (?:bypassed|circumvented|evaded|fooled"
    r"|tricked|avoided|worked around|subverted|forged|abused|defeated)|bypass(?:ed|es|able)?|circumvent\w*",
    r"opens? the door|dangerous code|arbitrary (?:files?|code|commands?|sql|scripts?|javascript|python|objects?"
    r"|memory)",
    r"(?<!sits )(?<!lies )(?<!stays )(?<!remains )(?<!is )directly (?:into|in|to|from)|straight (?:into|to|from)"
    r"|too late|as bad as",
    r"(?:unchanged|unmodified|verbatim|raw|as is|as it is|as-is|untouched|unfiltered|exactly as)",
    r"still (?:works?|gets? through|pass(?:es)?|slips? through|goes through|reach(?:es)?|lands?|ends? up|applies"
    r"|expands?|possible|get through|work|reach)",
)
_GOOD = (
    r"(?:is|are|being|be|gets?|was|were) (?:always |first |also |then |properly |correctly |all |explicitly |carefully "
    r"|immediately )*(?:checked|validated|sani[a-z]+|escaped|verified|bounded|quoted|encoded|clamped|guarded|filtered"
    r"|rejected|refused|dropped|discarded|ignored|turned (?:off|down)|thrown away)",
    r"(?:checks|verif(?:y|ies)|validates?|ensures?|compares?|guards?|escapes?|sanitizes?|rejects?|refuses?|drops?"
    r"|discards?|confines?|clamps?) (?:for|that|whether|if|the|each|every|all|both|any|anything|code|everything)",
    r"(?:has to|have to|must|can only|may only|needs to) (?:be (?:one of|an? |among|in )|match|start|consist"
    r"|contain only"
    r"|pass)|matched against|anything else (?:ends|is|gets|raises|results|falls|leads)|(?:default|fallback) is (?:used"
    r"|substituted|taken)|replaced (?:by|with) (?:the |an? )?(?:static|default|empty|constant|safe|fixed)",
    r"(?:prints?|logs?|reports?|shows?|sets?|sends?) .. (?:error|message) and (?:returns?|exits?|leaves|stops|aborts?)"
    r"|gives? up (?:if|when|unless|in that case)",
    r"nothing can (?:be )?\w+|none of (?:these|them|this|it|which) (?:is|are|comes?|can|contains?)"
    r"|(?:run|put|filtered|piped) through",
    r"not find (?:a|any) way|set to null|within (?:its |the |their |the array |the buffer )?(?:bounds?|limits|buffer)",
    r"stays? (?:within|inside|below|under)|confined",
    r"never (?:touch\w*|access\w*|used|reach\w*|written|exceeds?|reads?|writes?|parse\w*|interpret\w*|treated"
    r"|dereferenc\w*|leaves?|sees?|executed|runs?|supplies)",
    r"nothing (?:is|gets|from|has) (?:ever )?(?:written|read|used|mixed|lost|left|overrun|outside)",
    r"no (?:risk|danger|threat|concern|issues?|problems?|way|possibility|path|user input|chance|opportunity)",
    r"can not (?:\w+ )?(?:be|overflow|exceed|wrap|happen|occur|reach|escape|inject|get|leave|vanish|go|influence"
    r"|control|end|close|contain|carry|change|alter|break|run)|(?:it|this|that|they|there) can not(?= ?[.,;!]|$)",
    rf"(?:{ACTOR}|one) (?:can|could|does|do|will) (?:not|never|no)|(?:nobody|no one) (?:can|could)",
    r"not under .. control|not (?:\S+ ){0,3}(?:controlled|supplied)",
    r"autoescap\w+|effective|sufficient|canonicali[sz]\w+|allow[- ]?list\w*|white[- ]?list\w*|denied",
    r"(?:fixed|constant|closed|hard-?coded|static|finite|predefined) (?:set|table|list|string|values?|names?|path|map)"
    r"|(?:a|the|are|is|only) constants?|string literals?|a literal|compile[- ]time",
    r"(?:picked|chosen|taken|looked up|selected|comes) from (?:a |the )?(?:constant|fixed|dictionary|table|list"
    r"|set|enum)",
    r"(?:gets?|ends? in|becomes?|result\w* in|answered (?:with|by)|responds? with|yields?|raises?|leads? to|throws?) "
    r"(?:an? |the )?(?:\S+ )?(?:40\d|exception|error|einval|enomem|valueerror|keyerror|refusal|rejection)",
    r"(?:returns?|leaves|exits?|bails? out|gives up|stops) (?:\S+ )?(?:early|before|immediately|at once|as soon as)",
    r"early (?:return|exit)|unreachable|dead code|never executed|not compiled|never runs",
    r"impossible|not possible|not feasible|infeasible|ruled out|out of the question|no longer possible|harmless",
)
_UNREAL = re.compile(
    r"\b(?:in theory|theoretically|in principle|hypothetical\w*|would (?:only|have to|need|require)|(?:would"
    r"|could|might) (?:\S+ ){1,6}if|were to|at first"
    r"|(?:one|you|it|that|this|people|some) (?:may|might|could|can) (?:object|argue|think|fear|worry|suspect|look|seem)"
    r"|i (?:was|am) (?:going|about|ready|tempted)|it looked|i (?:took|thought|assumed|nearly|almost))\b"
)
"""What is only thought of, or was."""
_LITOTES = re.compile(r"^not (?!.*\bonly\b)")
_STOPPED = re.compile(
    r"\b(?:refus|reject|den(?:y|ie)|blocked|blocking|catch|forbid|discard|drop|stop|prohibit|bar)\w*\b"
)
"""What is refused does not happen."""
_ASKED = re.compile(r"\b(?:whether|check (?:if|for)|should|make sure|ensure|want)\b")
_CASE = re.compile(r"\w (?:if|when|unless|in case|whenever|as soon as)\b(?: \S+){0,8} ?$")
"""A case that is named after what is done about it: "it gives up if the product wraps"."""
_RELATIVE = re.compile(
    r"\b(?:that|which|anything|who|everything|what) (?:(?:is|are|does|do|has|have) )?not(?: \S+|\W*$)"
)
"""What is not so is set apart here, "a value that is not numeric": that turns nothing."""
_CONDITIONAL = re.compile(r"\b(?:if|should|would|could|unless|ought)\b")


@lru_cache(maxsize=64)
def _patterns(number: int | str | None) -> tuple[re.Pattern[str], re.Pattern[str]]:
    return phrases([*_BAD, *told(number, BAD)]), phrases([*_GOOD, *told(number, GOOD)])


def described(clause: str, number: int | str | None) -> tuple[float, str] | None:
    """The signed weight and the words of what a clause describes, or None.

    ``number`` is that of the weakness asked about: what shows another one shows nothing. A clause with both kinds says
    what speaks against the code.
    """
    if _UNREAL.search(clause):
        return None
    accuses, acquits = _patterns(number)
    found: list[tuple[bool, str]] = []
    taken = []
    for match in accuses.finditer(clause):
        taken.append(match.span())
        before = _before(clause, match)
        if _ASKED.search(before) or _CASE.search(clause[: match.start()]):
            continue
        stops = len(words.BAD_NEGATORS.findall(before)) or bool(_STOPPED.search(before))
        found.append(((_negations(clause, match) + stops) % 2 == 0, match.group()))
    for match in acquits.finditer(clause):
        if any(start < match.end() and match.start() < end for start, end in taken):
            continue
        turned = _negations(clause, match) % 2
        if turned or not _CONDITIONAL.search(_before(clause, match)):
            found.append((bool(turned), match.group()))
    if not found:
        return None
    accusing = [text for bad, text in found if bad]
    return (WEIGHT, accusing[0]) if accusing else (-WEIGHT, found[0][1])


def _negations(clause: str, match: re.Match[str]) -> int:
    before = words.UNTURNED.sub(" ", _before(clause, match))
    count = len(words.NEGATORS.findall(before))
    reaches = len(clause[: match.start()].split()) > NEAR
    return count + bool(reaches and _LITOTES.match(clause))


NEAR = 5
"""Words before a cue that can turn it."""


def _before(clause: str, match: re.Match[str]) -> str:
    """What can turn it: no more than the part of a list that it stands in, and no name such as "that block"."""
    part = re.split(r", | and ", clause[max(0, match.start() - 60) : match.start()])[-1]
    # "A message lacking the key brings it down": what is lacked stands right behind.
    part = re.sub(r"\black(?:s|ing|ed)? (?=\S)|\bzero\b", " ", _RELATIVE.sub(" ", part))
    return " ".join(re.sub(r"\b(?:the|that|this|an?|each|memory|same|its) blocks?\b", " ", part).split()[-NEAR:])
