"""What somebody meant who wrote a name that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable


def meant(
    name: str,
    known: Iterable[str],
    shown: Callable[[str], str] = str,
    *,
    most: int = 1,
    cutoff: float = 0.6,
    lead: str = "; ",
    otherwise: str = "",
) -> str:
    """``lead`` and ``did you mean A or B?`` with at most ``most`` of the known names that are like ``name``, as they
    are ``shown``; where none is like it, ``lead`` and ``otherwise``, or nothing."""
    close = difflib.get_close_matches(name, list(dict.fromkeys(known)), n=most, cutoff=cutoff)
    said = f"did you mean {' or '.join(map(shown, close))}?" if close else otherwise
    return f"{lead}{said}" if said else ""
