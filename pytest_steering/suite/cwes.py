"""The weaknesses that are asked about: what each is called in a question, and what it is, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Weakness:
    """One class of weakness: its CWE id, its name inside a sentence, and a definition."""

    cwe: str
    name: str
    definition: str


_ALL = (
    Weakness(
        "CWE-22",
        "path traversal",
        "A file name that comes from outside is joined to a directory without a check, so that parts like '..' or an "
        "absolute path reach files beyond that directory.",
    ),
    Weakness(
        "CWE-77",
        "OS command injection",
        "Text that comes from outside becomes part of a command line, so that whoever sends it can have commands of "
        "their own run.",
    ),
    Weakness(
        "CWE-79",
        "cross-site scripting",
        "Text that comes from a user is put into a web page without being escaped, so that a script in it runs in the "
        "browser of whoever opens the page.",
    ),
    Weakness(
        "CWE-89",
        "SQL injection",
        "Text that comes from outside becomes part of a database query instead of a bound parameter, so that it can "
        "change what the query does.",
    ),
    Weakness(
        "CWE-190",
        "integer overflow",
        "The result of an integer calculation does not fit its type and wraps around, and what follows relies on the "
        "wrong value as a size, a count or an index.",
    ),
    Weakness(
        "CWE-416",
        "use after free",
        "Memory is read, written or freed again through a pointer after it was given back to the allocator.",
    ),
    Weakness(
        "CWE-476",
        "null pointer dereference",
        "A pointer that can be null is followed without a check, and the program crashes there.",
    ),
    Weakness(
        "CWE-787",
        "out-of-bounds write",
        "Data is written before the start or past the end of the buffer that it was meant for.",
    ),
)

WEAKNESSES: Mapping[str, Weakness] = MappingProxyType({weakness.cwe: weakness for weakness in _ALL})
"""Every weakness by its id in capitals, ``CWE-89``."""
