"""What ``tiny:`` with a pattern stands for: every model type that fits, as if each had been typed."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from pytest_steering.errors import SpecError
from pytest_steering.suggesting import meant
from pytest_steering.targets.spec import IMAGE_TEXT, TEXT, Spec, check_task, parse_spec, tiny_types
from pytest_steering.targets.tiny.sizes import looks_sized, parted


def expanded(specs: Iterable[Spec]) -> tuple[Spec, ...]:
    """The specs with every pattern replaced by what it stands for, each spec once.

    ``SpecError`` for a pattern that no model type fits, and for a task that does not exist.
    """
    found: dict[Spec, None] = {}
    for spec in specs:
        found |= dict.fromkeys(map(parse_spec, _fitting(spec)) if spec.is_pattern else (spec,))
    return tuple(found)


def every_type() -> dict[str, tuple[str, str]]:
    """The model type and the task of every ``tiny:`` spec: first those that write text, then those that see.

    A type that does both is two models. Its name alone means the one that writes text.
    """
    texts, images = tiny_types(TEXT), tiny_types(IMAGE_TEXT)
    named = {f"tiny:{name}": (name, TEXT) for name in texts}
    return named | {
        f"tiny:{name}@{IMAGE_TEXT}" if name in texts else f"tiny:{name}": (name, IMAGE_TEXT) for name in images
    }


def _fitting(spec: Spec) -> list[str]:
    name, given = parted(spec.value)
    if given:
        raise SpecError(f"{spec}: sizes are given for one model type; name it, for example tiny:llama?{given}")
    pattern, at, task = name.partition("@")
    if at:
        check_task(spec.text, task)
    known = {name: model_type for name, (model_type, its) in every_type().items() if its == task or not at}
    found = [name for name, model_type in known.items() if fnmatchcase(model_type, pattern)]
    if not found:
        hint = meant(pattern.strip("*?"), known.values(), lambda name: f"tiny:{name}{at}{task}", most=3)
        if looks_sized(pattern):
            hint = "; sizes are given as in tiny:llama?layers=2&hidden=64"
        raise SpecError(f"{spec}: no language model type of the installed transformers fits{hint}")
    return found
