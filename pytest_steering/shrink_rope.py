"""Rotary position parameters that fit heads eight wide."""

from __future__ import annotations

import inspect
from typing import Any

from pytest_steering.shrink_rules import HEAD_DIM

_SECTION = "mrope_section"


def shrunk_rope(full: Any) -> dict[str, Any]:
    """``rope_parameters`` of a configuration whose positions have several axes; nothing for any other.

    The sections of a head that belong to time, height and width sum to the number of rotated pairs, and the
    whole head rotates, so that each has one pair at least. A full-size configuration often leaves them out,
    and its model then takes sections of its own that fit the full-size head only.
    """
    name = "rope_parameters" if hasattr(full, "rope_parameters") else "rope_scaling"
    if name not in inspect.signature(type(full)).parameters:
        return {}
    given = getattr(full, name, None) or {}
    expected = _SECTION in (getattr(full, "ignore_keys_at_rope_validation", None) or ())
    if not expected and _SECTION not in given:
        return {}
    nested = {key: value | _sections(value) for key, value in given.items() if isinstance(value, dict)}
    return {name: given | (nested or _sections(given))}


def _sections(given: dict[str, Any]) -> dict[str, Any]:
    old = given.get(_SECTION) or [3, 2, 2]
    pairs, count = HEAD_DIM // 2, len(old)
    spare = next((index for index, size in enumerate(old) if old.count(size) == 1), 0)
    sections = [pairs // count] * count
    sections[spare] += pairs % count
    return {_SECTION: sections, "partial_rotary_factor": 1.0}
