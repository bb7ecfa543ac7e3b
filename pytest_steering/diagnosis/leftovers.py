"""What was left changed on a model, and the bug that it points to."""

from __future__ import annotations

from typing import Any

from pytest_steering.diagnosis.causes import Cause


def likely_leftover(what: str, before: Any, after: Any) -> str:
    """The bug class of one of a model's ``belongings`` that is not what it was; ``None`` for one that was not there."""
    if what.startswith("the hooks of") and isinstance(before, dict) and isinstance(after, dict):
        removed = any(set(ids) - set(after.get(kind, ())) for kind, ids in before.items())
        return f"{Cause.HOOKS_REMOVED if removed else Cause.HOOK_LEFT}: {what}"
    for begin, cause in (
        ("the training mode", Cause.MODE),
        ("the gradient flag", Cause.FLAGS),
        ("the attributes", Cause.ATTRIBUTE),
        ("the forward", Cause.HOOK_LEFT),
        ("the values", Cause.PARAMETERS),
        ("parameter", Cause.PARAMETERS),
        ("buffer", Cause.PARAMETERS),
        ("the config", Cause.CONFIG),
        ("the generation_config", Cause.CONFIG),
    ):
        if what.startswith(begin):
            return f"{cause}: {_which(what, before, after)}"
    return ""


def _which(what: str, before: Any, after: Any) -> str:
    """The name of what changed, and of its entries where it has some."""
    if isinstance(before, dict) and isinstance(after, dict):
        changed = [str(key) for key in {**before, **after} if before.get(key) != after.get(key)]
        return f"{', '.join(changed[:3])} of {what}"
    if isinstance(before, list) and isinstance(after, list):
        return f"{', '.join(map(str, [each for each in after if each not in before][:3]))} among {what}"
    return what
