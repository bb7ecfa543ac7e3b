"""What is described rather than judged: a check that is missing, a parameter that is bound."""

from __future__ import annotations

import re

from pytest_steering.evaluation.judging import words

CUES_BAD = re.compile(
    r"\bwithout (?:being |any |a |proper |first |prior |adequate |sufficient |further |properly "
    r"|appropriate )*(?:check|valid|sanit|escap|bound|verif|encod|quot|test|limit|length)\w*"
    r"|\bno (?:bounds?|null|length|size|range|input|sanity|overflow)[ -](?:check|valid|sanit)\w*"
    r"|\bno (?:check|validation|sanitization|sanitisation|escaping|bounds checking|verification)\b"
    r"|\bnot (?:being |been |be |properly |correctly |adequately |sufficiently |ever |even )*(?:check|valid|sanit"
    r"|escap|bound|verif|encod|quot|parameteri|compar|limit|restrict|null-terminat|test)\w*"
    r"|\bfails? to (?:check|valid|sanit|escap|bound|verif|encod|guard|limit|restrict|handle)\w*"
    r"|\bunchecked\b|\bunvalidated\b|\bunsani\w+|\bunescaped\b|\bunbounded\b|\bungepruft\b"
    r"|\b(?:past|beyond|outside|off) (?:of )?(?:the |its )?(?:end|bounds?|boundar\w+|allocated|buffer|array"
    r"|intended)\b|\bone past\b|\boff[ -]by[ -]one\b|\boverruns?\b|\boverrun\b"
    r"|\bafter (?:it |they |being |having |the \w+ )*(?:is|are|was|were|has been|have been|been|being)? ?freed\b"
    r"|\balready (?:been )?freed\b|\bfreed (?:memory|pointer|buffer)\b"
    r"|\b(?:attacker|adversary|(?:malicious |remote )?user)s? (?:can|could|may|might|would be able to|is able to"
    r"|will be able to|to (?:read|write|run|execute|inject|access|overwrite))\b"
    r"|\ballow\w* (?:an |any )?(?:attacker|malicious|remote|user)s?\b|\blets (?:an|a) (?:attacker|user)\b"
    r"|\bconcatenat\w+|\bstring (?:formatting|interpolation)\b|\binterpolat\w+|\bf-string\b"
    r"|\b(?:one|two|three|several) (?:\w+ )?findings?\b|\bafter\b.{0,30}\b(?:released|deleted|deallocated"
    r"|invalidated|erased)\b|\b(?:insufficient|inadequate|ineffective)\b"
    r"|\bbut (?:it |this |that )?fails\b|\bnot (?:enough|sufficient|adequate)\b|\b(?:can|could"
    r"|may) (?:easily )?be (?:bypassed|circumvented)\b|\bopens? the door\b"
    r"|\b(?:may|might|can|could) (?:be|return|become) null\b|\bwraps? (?:around )?\b|\boverflows\b"
    r"|\bdangerous code\b|\barbitrary (?:files?|code|commands?|sql|scripts?|javascript)\b"
    r"|\bdirectly (?:into|in|to|from)\b|\bsmash\w*\b|\bcorrupts?\b"
)
CUES_GOOD = re.compile(
    r"\bparameteri[sz]ed\b|\bprepared statements?\b|\bplaceholders?\b|\bbound (?:as|by|to)\b"
    r"|\b(?:is|are|being|be|gets?) (?:always |first |also |then |properly |correctly |all |explicitly )*(?:checked"
    r"|validated|sani[a-z]+|escaped|verified|bounded|quoted|encoded|clamped|guarded)\b"
    r"|\b(?:checks|verif(?:y|ies)|validates?|ensures?|compares?|guards?|escapes?|sanitizes?) (?:for|that|whether"
    r"|if|the|each|every|all|both)\b"
    r"|\bnot find (?:a|any) way\b|\bset to null\b|\bwithin (?:its |the |their |the array |the buffer )?(?:bounds?"
    r"|limits|buffer)\b|\bstays? (?:within|inside)\b"
    r"|\bnever (?:touch\w*|access\w*|used|reach\w*|written|exceeds?|reads?|writes?|parse\w*|interpret\w*|treated"
    r"|dereferenc\w*)\b"
    r"|\bnothing (?:is|gets) (?:ever )?(?:written|read|used)\b|\bno (?:risk|danger|threat|concern|issues?"
    r"|problems?|way|possibility|path|shell|user input)\b|\bcan not (?:be|overflow|exceed|wrap|happen|occur|reach"
    r"|escape|inject)\b|\bautoescap\w+"
    r"|\b(?:effective|sufficient|refuses?|rejects?|rejected|refused|denied|canonicali[sz]\w+|allow[- ]?list\w*"
    r"|white[- ]?list\w*)\b"
)


def described(clause: str) -> tuple[float, str] | None:
    """The signed weight and the words of what a clause describes, or None."""
    bad, good = CUES_BAD.search(clause), CUES_GOOD.search(clause)
    if bad:
        window = _before(clause, bad)
        turns = len(words.NEGATORS.findall(window)) + len(words.BAD_NEGATORS.findall(window))
        return (0.5 if turns % 2 == 0 else -0.5), bad.group()
    if good:
        window = _before(clause, good)
        if words.NEGATORS.search(window):
            return 0.5, good.group()
        return None if re.search(r"\b(?:if|should|would|could)\b", window) else (-0.5, good.group())
    return None


def _before(clause: str, match: re.Match[str]) -> str:
    return " ".join(clause[max(0, match.start() - 60) : match.start()].split()[-5:])
