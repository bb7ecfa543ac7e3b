"""What an answer that is nothing but code says in its comments, and that a mended version speaks for itself."""

from __future__ import annotations

import re

_FENCED = re.compile(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.M | re.S)
_COMMENT = re.compile(
    r"^[ \t]*(?:#(?![!\[]|\s*(?:include|define|if|endif|pragma))|//|--|/\*+|\*(?!/))[ \t]*(.{4,400}?)\s*(?:\*/)?$", re.M
)
_TRAILING = re.compile(r"[;,{})\]] *(?://|/\*|#) *(.{4,300}?)\s*(?:\*/)?$", re.M)
_CALL = re.compile(r"[\w.]+\([^()]{0,80}\)(?: *<-+)?")
_STATEMENT = re.compile(r"[;{}]$|^\w[\w.]*\([^)]*\)$|=\s*\S+$")
MENDED = re.compile(
    r"\b(?:here|below|following|this)\b[^.\n]{0,30}\b(?:hardened|fixed|patched|corrected|secured|mended|repaired)\b"
    r"[^.\n]{0,20}\b(?:version|variant|code|function|implementation|one|query|call|handler)\b",
    re.I,
)
"""A version that is announced as mended: what was asked about was in need of it."""


def comments_of(text: str) -> str:
    """The comments of the blocks of code, one a line; empty when there are none."""
    found: list[str] = []
    for block in _FENCED.findall(text):
        notes = [*_COMMENT.findall(block), *_TRAILING.findall(block)]
        found += [note for note in notes if not _STATEMENT.search(note.strip())]
    return "\n".join(f"{_CALL.sub('code', note).strip().rstrip('.')}." for note in found)
