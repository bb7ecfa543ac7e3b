"""One spelling for what means the same: lower case, no accents, no short forms, one word for a roundabout phrase."""

from __future__ import annotations

import re
import unicodedata

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u00b4\uff07", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2212", "-"),
        **dict.fromkeys("\u2013\u2014\u2015", " - "),
        **dict.fromkeys("\u200b\u200c\u200d\ufeff\u00ad\ufe0f", ""),
        "•": "-",
        **dict.fromkeys("\u2192\u21d2\u27f6", " - "),
        "\t": " ",
        "ß": "ss",
        "\r": "\n",
    }
)
_SPELLINGS = (
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (
        re.compile(
            r"\b(it|that|there|here|what|this|who|nothing|everything|something|nobody|code|snippet|program"
            r"|function)'s\b"
        ),
        r"\1 is",
    ),
    (re.compile(r"\bi'm\b"), "i am"),
    (re.compile(r"\b(i|you|we|they)'(?:ve)\b"), r"\1 have"),
    (re.compile(r"\b(i|you|we|they)'(?:d)\b"), r"\1 would"),
    (re.compile(r"\b(i|you|we|they)'(?:ll)\b"), r"\1 will"),
    (re.compile(r"\b(you|we|they)'re\b"), r"\1 are"),
    (re.compile(r"\bvulnerab[il]\w{0,4}t\w{0,3}s\b"), "vulnerabilities"),
    (re.compile(r"\bvulnerab[il]\w{0,4}t(?:y|iy|e|ity|yi)?\b"), "vulnerability"),
    (re.compile(r" ?\((?:cwe[- ]?\d+|xss|sqli?|uaf|npd|oob|rce|bof)\)"), ""),
    (
        re.compile(
            r", (?:on the other hand|of course|in fact|in turn|by contrast|in contrast|as such"
            r"|for its part),"
        ),
        "",
    ),
    (re.compile(r"\bnull-terminated\b"), "terminated"),
    (
        re.compile(
            r"\b(?:unable|failed|fail|not able|not been able|not manage) to (?:identify|find|see|detect|spot"
            r"|locate|discover)\b"
        ),
        "not find",
    ),
    (
        re.compile(
            r"\banything but (?=(?:\w+ly )?(?:safe|secure|clear|harmless|ok|fine|good|robust|trivial|sound|correct"
            r"|solid|clean)\b)|\b(?:very |still )?far from (?:being )?|\bnowhere near\b"
            r"|\bby no means\b"
        ),
        "not ",
    ),
    # What nobody can say is not so: the negation that follows is turned, and stands alone before what it turns.
    (
        re.compile(
            r"\b(?:(?:i|we|you|one|anyone) (?:can|could) not(?: \w+ly)?|(?:nobody|no one) (?:can|could)) (?:say|claim"
            r"|argue"
            r"|maintain|pretend|state"
            r"|conclude) that (?=[^.;:?]{0,80}\b(?:not|no|never|nothing|none)\b(?! context| information))"
        ),
        "not ",
    ),
    (
        re.compile(
            r"\bit (?:would be|is) (?:wrong|a mistake|false|incorrect|misleading|untrue|a lie"
            r"|a stretch) to (?:say|claim"
            r"|think|conclude|assume|believe|state|call)(?: that)?\b|\bit is not (?:the case|true|correct|so"
            r"|right) that\b"
            r"|\b(?:i|we) do not (?:think|believe) (?:that )?(?:anyone|anybody|one|you|somebody) (?:can|could) (?:claim"
            r"|say|argue|state)(?: that)?\b"
        ),
        "not ",
    ),
    (
        re.compile(r"\b(nothing|everything|anything|all|none|no one|nobody) but (?!not\b|also\b|is\b|it\b)"),
        r"\1 except ",
    ),
    (re.compile(r"\b(can|could|will|is|are|does|do|has) (?:thus|therefore|hence) (?!\W)"), r"\1 "),
    (re.compile(r"\b(?:on|in|by|at|for|through|via|under|during|with|from) which\b"), "where"),
    (
        re.compile(
            r"\b(?:i|we|one) (?:would|will|could|can|do) not (?:go (?:so|as) far as to (?:say|claim)|(?:say|claim"
            r"|call it|agree|argue"
            r"|pretend|accept|maintain))(?: that)?(?: it is| this is)? (?=(?:\S+ ){0,6}?(?:impossible|safe|secure"
            r"|harmless|fine|ok|out"
            r" of the question|ruled out|excluded|unlikely)\b)"
        ),
        "not ",
    ),
    (re.compile(r"\b(?:nobody|no one) (?:can|could|would) (?:call|describe|consider)\b"), "not"),
    (re.compile(r"\bno longer (?=(?:call|consider|describe|regard|think|believe|say|trust|stand)\b)"), "not "),
    (
        re.compile(
            r" ?\((?:also|sometimes|often|better)? ?(?:called|known as|referred to as|abbreviated)[^()]{1,60}\)"
        ),
        "",
    ),
)


def spelled(text: str) -> str:
    """The text in lower case without accents, typographic signs or short forms ("can't" is "can not")."""
    # The typographic signs first: decomposing turns some of them into others.
    plain = unicodedata.normalize("NFKD", text.translate(_CHARACTERS)).translate(_CHARACTERS)
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign)).lower()
    for pattern, replacement in _SPELLINGS:
        plain = pattern.sub(replacement, plain)
    return plain
