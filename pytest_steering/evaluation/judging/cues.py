"""What is described rather than judged: a check that is missing, a parameter that is bound, a pointer that is stale."""

from __future__ import annotations

import re
from functools import lru_cache

from pytest_steering.evaluation.judging import telling_inputs, telling_memory, words
from pytest_steering.evaluation.judging.mechanisms import BAD, GOOD, INJECTED, phrases, told
from pytest_steering.evaluation.judging.telling_anything import ANY_BAD, ANY_GOOD

WEIGHT = 0.5
"""Of each cue."""
_UNREAL = re.compile(
    r"\b(?:in theory|theoretically|in principle|hypothetical\w*|would (?:only|have to|need|require)|(?:would"
    r"|could|might) (?:\S+ ){1,6}if|were to|at first"
    r"|(?:one|you|it|that|this|people|some) (?:may|might|could|can) (?:object|argue|think|fear|worry|suspect|look|seem)"
    r"|i (?:was|am) (?:going|about|ready|tempted)|it looked|i (?:took|thought|assumed|nearly|almost))\b"
)
"""What is only thought of, or was."""
_LITOTES = re.compile(r"^not (?!.*\bonly\b)")
_STOPPED = re.compile(
    r"\b(?:refus|reject|den(?:y|ie)|blocked|blocking|catch|forbid|discard|drop(?!s? (?:files?|a? ?tables?))|stop"
    r"|prohibit|bar|detect|strip|neutrali|rul(?:es?|ed|ing) (?:the|an?|any|that|this|it|out)"
    r"|defus|remov(?!es? \S+ once))\w*\b"
)
"""What is refused does not happen."""
_CLEANER = re.compile(
    r"\b(?:sanitis\w+|sanitiz(?:er|ed|ing)|typecast|htmlescaper|pathcleaner|shellquoter|placeholder|boundedcopy"
    r"|overflowcheck|smartpointer)\b"
)
_DECISIVE = re.compile(
    r"\b(?:only (?:\S+ )?(?:thing|piece|part|value|bit|element|fragment|variable|portion)s? (?:\S+ ){0,4}?(?:is|are"
    r"|comes?)|nothing"
    r" (?:but|except|other than)|(?:is|are|comes? from|stems? from|originates? (?:in|from)|derived from|taken from)"
    r" (?:\S+ )?(?:a |an |the )?(?:\S+ )?(?:constants?|literals?|hard-?coded|integers?"
    r"|numbers?|numeric|fixed|typecast|enum\w*))\b"
)
"""What flows into a command or a page is said to be harmless: "the only piece that is interpolated is a constant"."""
_PAYLOAD = re.compile(r"\b(?:sqlpayload|scripttag|shellpayload|dotdots|jsurl)\b")
_HARMLESS = re.compile(
    r"\b(?:looked up as|literal(?:ly)?|finds? nothing|no (?:hits?|results?|match(?:es)?|rows?)|harmless|no (?:effect"
    r"|meaning|harm)|just (?:a|an|be|part|text)"
    r"|simply (?:be"
    r"|a|an|part|shown|text)|would (?:only|merely|just|simply)|rejected|refused|removed|skipped|dropped|blocked"
    r"|ignored|filtered|resolved|collaps\w+|stays?|remains?|inside|can not|not (?:get|work|help"
    r"|reach|pass|lead|matter)|stripped|escaped|shown as|displayed as|as text"
    r"|raises?|40\d|error|fails?)\b"
)
_FLOWS = re.compile(rf"\b(?:{INJECTED}|htmlraw|unlimitedcopy|concatenat\w*|goes|lands|shellsink|interpolat\w*)\b")
_UNCLEANED = re.compile(r"\b(?:but|except|only|missing|bypass\w*|after|instead|too late|skip\w*|misses)\b")
_WANTED = re.compile(r"\b(?:look(?:ed|ing)? for|search(?:ed|ing)? for|expect(?:ed)?|hoped?|missing is)\b")
"""What somebody looked for is not said to be there."""
_ASKED = re.compile(r"\b(?:whether|check (?:if|for)|should|make sure|ensure|want)\b")
_CASE = re.compile(r"\w (?:if|when|unless|in case|whenever|as soon as)\b(?: \S+){0,8} ?$")
"""A case that is named after what is done about it: "it gives up if the product wraps"."""
_RELATIVE = re.compile(
    r"\b(?:that|which|anything|who|everything|what) (?:(?:is|are|does|do|has|have) )?not(?: \S+|\W*$)"
)
"""What is not so is set apart here, "a value that is not numeric": that turns nothing."""
_CONDITIONAL = re.compile(r"\b(?:if|should|would|could|unless|ought)\b")


_ALL_BAD = (BAD, telling_inputs.MORE_BAD, telling_memory.MORE_BAD)
_ALL_GOOD = (GOOD, telling_inputs.MORE_GOOD, telling_memory.MORE_GOOD)
_UNDONE = re.compile(
    r"^(?:s|ed|ing)?(?: \S+){0,3}? (?:(?:is|are|was|were|gets?|be|been|being) (?:\w+ly |all |also |first |always"
    r" )?(?:stripped"
    r"|removed|gone|rejected|refused|blocked|dropped|discarded|neutrali[sz]ed|filtered out|prevented|avoided|impossible"
    r"|excluded|ruled out|detected|caught|handled|no longer (?:there|possible|in use|used)|replaced|history|moot)"
    r"|(?:has|have) (?:been )?(?:gone|removed|replaced|fixed)|(?:does|do|can|could|will) not (?:happen|occur|arise"
    r"|exist|apply"
    r"|work))\b"
)
"""What follows a word that accuses and takes its ground away: "the old concatenation is gone"."""
_NO_HELP = re.compile(
    r"^(?: \S+){0,5}? (?:(?:is|are|was|were) (?:of )?(?:no|little) (?:help|use|avail)|(?:does|do) not (?:help|suffice)"
    r"|(?:is|are) (?:useless|not enough|insufficient|pointless|beside the point))\b"
)
"""What follows a word that acquits and takes it back: "the bound parameter is of no help here"."""
_NOWHERE = re.compile(
    r"\b(?:there (?:is|are) not (?:a single|one|any)|(?:see|find|found|know of|there is|there are|exists?|leaves?"
    r"|left|with|spot|has|have) no|(?:can not|could"
    r" not|not|fail"
    r"|fails|failed|unable) (?:to )?(?:see|find|point (?:at|to)|think of|spot|imagine|name|come up with|identify"
    r"|locate|construct)"
    r"(?: any| an?| one)?) (?:\S+ ){0,3}?(?:path|way|route|line|place|spot|point|case|input|value|branch|moment"
    r"|scenario|sequence"
    r"|order|pointer|call|variable|use|write|read|store|statement|query|one|thing|situation|index|size|page|field"
    r"|name|access"
    r"|execution|string|request|trick)s?(?: \S+){0,2} (?:where|that|which|how|by|to|at|for|in|of)\b"
)
"""What follows is said to be nowhere: "I see no path where it is read afterwards"."""


@lru_cache(maxsize=64)
def _patterns(number: int | str | None) -> tuple[re.Pattern[str], re.Pattern[str]]:
    bad = [*ANY_BAD, *(phrase for kinds in _ALL_BAD for phrase in told(number, kinds))]
    good = [*ANY_GOOD, *(phrase for kinds in _ALL_GOOD for phrase in told(number, kinds))]
    return phrases(bad), phrases(good)


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
    cleaned = _CLEANER.search(clause) and not (words.NEGATORS.search(clause) or _UNCLEANED.search(clause))
    for match in accuses.finditer(clause):
        taken.append(match.span())
        before = _before(clause, match)
        if _ASKED.search(before) or _CASE.search(clause[: match.start()]):
            continue
        if _PAYLOAD.search(match.group()) and _HARMLESS.search(clause):
            continue
        if (cleaned or _DECISIVE.search(clause)) and _FLOWS.search(match.group()):
            continue
        stops = len(words.BAD_NEGATORS.findall(before)) or bool(_STOPPED.search(before))
        if not stops and re.search(r"(?:\band|\bor|,) $", clause[: match.start()]):
            stops = bool(_STOPPED.search(clause[max(0, match.start() - 50) : match.start()]))
        stops += bool(_UNDONE.match(clause[match.end() :])) + _nowhere(clause, match)
        found.append(((_negations(clause, match) + stops) % 2 == 0, match.group()))
    for match in acquits.finditer(clause):
        if any(start < match.end() and match.start() < end for start, end in taken):
            continue
        turned = (_negations(clause, match) + bool(_NO_HELP.match(clause[match.end() :]))) % 2
        if turned and _CASE.search(clause[: match.start()]) and _STOPPED.search(clause[: match.start()]):
            turned = 0
        if turned or not (
            (_CONDITIONAL.search(_before(clause, match)) and not _PAYLOAD.search(clause))
            or _WANTED.search(clause[: match.start()])
        ):
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


def _nowhere(clause: str, match: re.Match[str]) -> bool:
    """It is said to be nowhere, by words that stand too far before it to count as a negation."""
    scope = _NOWHERE.search(clause)
    return scope is not None and scope.end() <= match.start() + 1 and not words.NEGATORS.search(_before(clause, match))


NEAR = 5
"""Words before a cue that can turn it."""


def _before(clause: str, match: re.Match[str]) -> str:
    """What can turn it: no more than the part of a list that it stands in, and no name such as "that block"."""
    part = re.split(r", | and ", clause[max(0, match.start() - 60) : match.start()])[-1]
    # "A message lacking the key brings it down": what is lacked stands right behind.
    part = re.sub(r"\black(?:s|ing|ed)? (?=\S)|\bzero\b", " ", _RELATIVE.sub(" ", part))
    return " ".join(re.sub(r"\b(?:the|that|this|an?|each|memory|same|its) blocks?\b", " ", part).split()[-NEAR:])
