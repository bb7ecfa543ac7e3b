"""How large a small model is: four layers, 32 wide, unless ``tiny:TYPE?layers=N&hidden=N`` says otherwise."""

# The plugin parses every spec with this module: no torch here.

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pytest_steering.errors import SpecError
from pytest_steering.suggesting import meant

HEAD_DIM: Final = 8
_PAIR: Final = 2 * HEAD_DIM
"""Heads come in pairs, each with its own keys, whatever the number of groups."""
MOST: Final = {"layers": 512, "hidden": 16_384}
"""No published model is larger; nothing of that size is counted before it is refused."""
KEYS: Final = (*MOST, "init")
_GIVEN = re.compile(r"\?(?=\w*=)")
_WHOLE = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True)
class Sizes:
    """The decoder layers of a small model, their width, and how its weights are drawn.

    The number of heads follows from the width. ``default_init`` leaves the weights to the class, as published
    ``tiny-random`` checkpoints do: they are about 0.02, and the layers hardly move the residual stream.
    """

    layers: int = 4
    hidden: int = 32
    default_init: bool = False

    @property
    def heads(self) -> int:
        """How many heads of :data:`HEAD_DIM` are as wide as the model."""
        return self.hidden // HEAD_DIM


SMALL: Final = Sizes()


def parted(value: str) -> tuple[str, str]:
    """``TYPE@TASK?layers=2`` as ``TYPE@TASK`` and ``layers=2``; a ``?`` with no ``key=`` behind it is a wildcard."""
    name, *given = _GIVEN.split(value, maxsplit=1)
    return name, "".join(given)


def sizes_in(text: str, given: str) -> Sizes:
    """The sizes that the spec ``text`` gives as ``layers=2&hidden=64``; ``SpecError`` for what cannot be meant."""
    found: dict[str, int | bool] = {}
    for part in given.split("&") if given else ():
        key, _, value = part.partition("=")
        _check_key(text, key)
        name = "default_init" if key == "init" else key
        if name in found:
            raise SpecError(f"{text}: {key} is given twice; give it once")
        found[name] = _init(text, value) if key == "init" else _number(text, key, value)
    return Sizes(**found)  # type: ignore[arg-type]  # each is of the field's own type


def looks_sized(pattern: str) -> bool:
    """Whether a pattern that fits nothing was meant to give sizes."""
    return any(re.search(rf"\?{key}\b", pattern) for key in KEYS)


def _check_key(text: str, key: str) -> None:
    if key not in KEYS:
        hint = meant(key, KEYS, otherwise="give layers=N, hidden=N or init=default")
        raise SpecError(f"{text}: a small model has no {key!r} to set{hint}")


def _number(text: str, key: str, value: str) -> int:
    if not _WHOLE.fullmatch(value) or int(value) > MOST[key]:
        raise SpecError(f"{text}: {key} must be a whole number from 1 to {MOST[key]}; got {value!r}")
    number = int(value)
    if key == "hidden" and number % _PAIR:
        least = number // _PAIR * _PAIR
        near = f"{least} or {least + _PAIR}" if least else f"{_PAIR}"
        raise SpecError(f"{text}: hidden must be a multiple of {_PAIR}, two heads of {HEAD_DIM}; give {near}")
    return number


def _init(text: str, value: str) -> bool:
    if value != "default":
        raise SpecError(f"{text}: init can only be default, the model class's own initialisation; got {value!r}")
    return True
