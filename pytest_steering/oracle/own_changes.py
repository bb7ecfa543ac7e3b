"""What a model changes of itself when it is called or generates, which no adapter is blamed for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pytest_steering.oracle.model_state import Piece, changed, same

Entry = tuple[Piece, str]
"""A piece of a model's state, and the attribute or line of a config; empty for a piece that has none."""


def without(state: Mapping[Piece, Any], entries: Collection[Entry]) -> dict[Piece, Any]:
    """The snapshot without these pieces, or, where an entry is named, without that one of its piece."""
    left = dict(state)
    for piece, entry in entries:
        if entry and isinstance(left.get(piece), dict):
            left[piece] = {name: value for name, value in left[piece].items() if name != entry}
        elif not entry:
            left.pop(piece, None)
    return left


def entries_changed(before: Mapping[Piece, Any], after: Mapping[Piece, Any]) -> frozenset[Entry]:
    """What changed, each attribute or line of a config on its own; a piece that has no entries has the empty name."""
    found: set[Entry] = set()
    for piece in changed(before, after):
        one, other = before.get(piece), after.get(piece)
        if isinstance(one, dict) and isinstance(other, dict):
            kept = {name for name, value in one.items() if name in other and same(value, other[name])}
            found |= {(piece, name) for name in {**one, **other} if name not in kept}
        else:
            found.add((piece, ""))
    return frozenset(found)
