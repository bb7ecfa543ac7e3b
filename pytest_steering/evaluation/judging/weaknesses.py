"""What each weakness is called in answers.

All patterns of the judge are meant for text that ``normalise`` has made: lower case, no accents, "can't" as "can not".
"""

from __future__ import annotations

import re

WORD = r"(?<![\w-])(?:{})(?![\w-])"


def words(*alternatives: str) -> re.Pattern[str]:
    """A pattern of whole words or phrases, the longest alternative first."""
    return re.compile(WORD.format("|".join(sorted(alternatives, key=len, reverse=True))))


ALIASES: dict[int, tuple[str, ...]] = {
    22: (
        r"(?:path|directory)[ -]traversals?(?: attacks?)?",
        r"path injections?",
        r"dot[ -]dot[ -]slash",
        r"zip[ -]slip",
        r"(?:arbitrary|local) file (?:reads?|access|inclusion|disclosure|writes?)",
    ),
    77: (
        r"(?:os[ -]|operating system |shell |arbitrary )?(?:command|shell)[ -]injections?",
        r"os injections?",
        r"(?:arbitrary|remote) (?:os |shell )?(?:command|code) execution",
        r"inyeccion de comandos",
    ),
    79: (r"cross[ -]site[ -]scripting", r"xss", r"(?:script|html|javascript) injections?"),
    89: (r"sql[ -]?injections?", r"sqli", r"inyeccion(?:es)? (?:de )?sql", r"injections? sql"),
    190: (
        r"(?:signed |unsigned )?(?:integer|arithmetic|numeric|int)[ -](?:over|under)flows?(?: or wrap[ -]?around)?",
        r"integer wrap[ -]?arounds?",
        r"wrap[ -]?around (?:errors?|bugs?)",
        r"(?:ganzzahl|integer)-?uberlauf",
    ),
    416: (r"use[ -]after[ -]frees?", r"uafs?", r"dangling[ -]pointers?", r"use of freed memory"),
    476: (
        r"null(?:ptr)?[ -](?:pointer[ -])?(?:de)?ref(?:erenc(?:e|es|ing))?",
        r"npds?",
        r"null pointer (?:exceptions?|access(?:es)?)",
        r"dereferenc(?:e|es|ing) (?:of )?(?:a |the )?(?:potentially |possibly )?null(?: pointers?)?",
        r"nullzeiger-?dereferenzierung",
    ),
    787: (
        r"out[ -]of[ -]bounds?[ -](?:memory )?writ(?:es?|ing)",
        r"oob[ -]writ(?:es?|ing)",
        r"writ(?:e|es|ing) out of bounds",
        r"(?:stack|heap)?(?:-based)?[ -]?buffer[ -]over(?:flow|run)s?",
        r"(?:stack|heap)(?:-based)?[ -](?:buffer )?over(?:flow|run)s?",
        r"pufferuberlauf",
    ),
}
"""What each weakness of the study is called in answers, besides its number."""
NUMBERS: dict[int, int] = {
    78: 77,
    88: 77,
    80: 79,
    120: 787,
    121: 787,
    122: 787,
    119: 787,
    680: 190,
    23: 22,
    36: 22,
    73: 22,
}
"""Numbers of near relatives, read as the weakness that they are kinds of."""
STRANGERS = (
    r"out[ -]of[ -]bounds?[ -]reads?",
    r"oob[ -]reads?",
    r"(?:the )?read(?:ing)? side",
    r"double[ -]frees?",
    r"memory[ -]leaks?",
    r"(?:resource|file descriptor|handle)[ -]leaks?",
    r"race[ -]conditions?",
    r"toctou",
    r"format[ -]string(?:s| bugs?| vulnerabilit(?:y|ies)| attacks?| issues?)?",
    r"csrf",
    r"cross[ -]site request forgery",
    r"ssrf",
    r"xxe",
    r"(?:ldap|log|header|code|template|xpath|nosql) injections?",
    r"open redirects?",
    r"denial[ -]of[ -]service",
    r"(?:insecure )?deseriali[sz]ation",
    r"hard[ -]?coded (?:credentials?|passwords?|secrets?|keys?)",
    r"information (?:disclosure|leaks?|leakage|exposure)",
    r"uninitiali[sz]ed (?:memory|variables?|values?|reads?)",
    r"division by zero",
    r"weak (?:hash(?:es|ing)?|crypto(?:graphy)?|ciphers?)",
    r"privilege escalation",
)
"""Weaknesses that the study never asks about."""
