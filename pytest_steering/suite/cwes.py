"""The weaknesses that are asked about: what each is called in a question and in an answer, and what it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from pytest_steering.errors import SpecError


@dataclass(frozen=True)
class Weakness:
    """One class of weakness: its CWE id, its name inside a sentence, a definition, and what else it is called."""

    cwe: str
    name: str
    definition: str
    called: str
    """A regular expression of its names, in lower case."""


_ALL = (
    Weakness(
        "CWE-22",
        "path traversal",
        "A file name that comes from outside is joined to a directory without a check, so that parts like '..' or an "
        "absolute path reach files beyond that directory.",
        r"(?:path|directory)[- ]traversals?|cwe[- ]?0*2[23]",
    ),
    Weakness(
        "CWE-77",
        "OS command injection",
        "Text that comes from outside becomes part of a command line, so that whoever sends it can have commands of "
        "their own run.",
        r"(?:os |shell |operating system )?(?:command|shell)[- ]injections?|cwe[- ]?0*7[78]",
    ),
    Weakness(
        "CWE-79",
        "cross-site scripting",
        "Text that comes from a user is put into a web page without being escaped, so that a script in it runs in the "
        "browser of whoever opens the page.",
        r"cross[- ]?site[- ]scripting|xss|html[- ]injection|cwe[- ]?0*79",
    ),
    Weakness(
        "CWE-89",
        "SQL injection",
        "Text that comes from outside becomes part of a database query instead of a bound parameter, so that it can "
        "change what the query does.",
        r"sql[- ]?injections?|sqli|cwe[- ]?0*89",
    ),
    Weakness(
        "CWE-190",
        "integer overflow",
        "The result of an integer calculation does not fit its type and wraps around, and what follows relies on the "
        "wrong value as a size, a count or an index.",
        r"(?:integer|arithmetic|signed|unsigned)[- ](?:over|under)flows?(?: or wrap-?around)?"
        r"|(?:an? |integer )?wrap-?arounds?|cwe[- ]?0*19[01]",
    ),
    Weakness(
        "CWE-416",
        "use after free",
        "Memory is read, written or freed again through a pointer after it was given back to the allocator.",
        r"use[- ]after[- ]frees?|uaf|dangling pointers?|cwe[- ]?0*416",
    ),
    Weakness(
        "CWE-476",
        "null pointer dereference",
        "A pointer that can be null is followed without a check, and the program crashes there.",
        r"null[- ]?(?:pointer )?(?:de-?references?|dereferencing)|dereferenc\w+ (?:an? |the )?null|cwe[- ]?0*476",
    ),
    Weakness(
        "CWE-787",
        "out-of-bounds write",
        "Data is written before the start or past the end of the buffer that it was meant for.",
        r"(?:out[- ]of[- ]bounds?|oob)[- ](?:\w+ )?writes?|(?:(?:heap|stack)[- ](?:based )?)?buffer[- ]overflows?"
        r"|buffer[- ]overruns?|(?:heap|stack)[- ]overflows?|cwe[- ]?0*(?:787|12[0-4]|119)",
    ),
)

WEAKNESSES: Mapping[str, Weakness] = MappingProxyType({weakness.cwe: weakness for weakness in _ALL})
"""Every weakness by its id in capitals, ``CWE-89``."""

_STRANGERS = (
    r"(?:code|ldap|xpath|header|log)[- ]injections?|format[- ]string|race conditions?|memory leaks?|csrf|ssrf|xxe"
    r"|(?:out[- ]of[- ]bounds?|buffer over-?) ?reads?|denial of service|information (?:leaks?|disclosure)|cwe[- ]?\d+"
)
_NAMED = r"(?:(?:security )?(?:vulnerability|weakness) (?:known as |called )?(?:an? )?[\"']?)?"
_KIND = r"(?: (?:attack|vulnerabilit|flaw|issue|weakness|bug|risk|problem)(?:y|ies|s|es)?)?(?: ?\([^()\n]{1,40}\))?"


@lru_cache(maxsize=64)
def mentions_of(cwe: str | int | None) -> re.Pattern[str]:
    """What finds weaknesses in lower-case text; its group ``own`` is the one that is given, or any where none is."""
    name = "" if cwe is None else re.sub(r"[\s_]+", " ", str(cwe)).strip().lower()
    if cwe is not None and not re.search(r"\w", name):
        raise SpecError(f"cwe is {cwe!r}: give a weakness such as 'CWE-89' or 'SQL injection', or None for any")
    name = f"cwe-{name}" if name.isdecimal() else name
    called = {number: weakness.called for number, weakness in WEAKNESSES.items()}
    asked = next((number for number, pattern in called.items() if re.fullmatch(pattern, name)), None)
    others = "|".join([*(pattern for number, pattern in called.items() if number != asked), _STRANGERS])
    own = called[asked] if asked else re.escape(name) or others
    return re.compile(rf"(?<![\w-]){_NAMED}(?:(?P<own>{own})|(?:{others})){_KIND}(?![\w-])")
