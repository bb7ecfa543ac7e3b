"""What somebody meant who wrote a name that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(
    name: str, known: Iterable[str], form: str = "{}", *, most: int = 1, cutoff: float = 0.6, otherwise: str = ""
) -> str:
    """``did you mean A or B?`` with at most ``most`` of the known names that are like ``name``, each written as
    ``form`` has it; ``otherwise`` where none is like it."""
    close = difflib.get_close_matches(name, list(dict.fromkeys(known)), n=most, cutoff=cutoff)
    return f"did you mean {' or '.join(map(form.format, close))}?" if close else otherwise
