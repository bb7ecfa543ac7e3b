"""What can go wrong, as exceptions that carry their whole sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_steering.oracle.diagnosis.causes import Diagnosis

_LONGEST = 300
_LONGEST_SHOWN = 2000


def text_of(error: BaseException | str) -> str:
    """What an exception says, also where its own ``__str__`` fails."""
    try:
        return str(error)
    except Exception:
        return "it has no text of its own, because its __str__ raises an exception"


def printable(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Text as it can be shown anywhere: no line break, no terminal escape, no half of a character, no endless length.

    What a terminal would obey is written as an escape, and of what is longer than ``longest`` the middle is left out:
    a sentence names its thing at the beginning and its reason at the end.
    """
    if len(text) > longest:
        head, tail = longest * 2 // 3, longest // 3
        text = f"{text[:head]} … {text[-tail:]}"
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode() for each in text
    )


class SteeringError(Exception):
    """One clear sentence that names the thing, the reason and the remedy; what cannot be shown of it is escaped."""

    def __init__(self, sentence: str = "") -> None:
        shown = sentence.isprintable() and len(sentence) <= _LONGEST_SHOWN
        super().__init__(sentence if shown else printable(" ".join(sentence.split())))


class SpecError(SteeringError):
    """A model spec, adapter name, requirement id, option or data that cannot be meant: exit status 4."""


class TargetError(SteeringError):
    """A model that was named properly and cannot be loaded: a failure, exit status 1."""


class ArchitectureError(SteeringError):
    """A model whose decoder layers cannot be told: a failure with the reason."""


class AdapterError(SteeringError):
    """An adapter that cannot be built or does not keep to the protocol: a failure."""


class EngineError(SteeringError):
    """An engine that cannot be started, does not keep to the protocol, or cannot be judged: a failure."""


class Violation(AssertionError):
    """A requirement that is not met.

    ``detail`` is the measured fact ("max |Δ| 3.1e-02 at row 1, position 4; allowed 2 ulp"), ``where`` what narrows
    it down ("layer 2, scale 0.5"), ``likely`` the cause that the numbers point to, when they do.
    """

    def __init__(self, detail: str, *, where: str = "", likely: Diagnosis | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.where = where
        self.likely = likely
        self.program: Callable[..., str] | None = None
        """Writes the shortest Python program that shows it, given the adapter's name and the options of the model."""


class Unseen(Violation):
    """The suite's own hooks saw nothing where they had to: what ran is not the model that they stand on."""


def one_line(error: BaseException | str, *, kind: bool = True) -> str:
    """An exception as ``Type: message`` on one line, cut to 300 characters; only the message unless ``kind``."""
    message = printable(" ".join(text_of(error).split()))
    if len(message) > _LONGEST:
        message = f"{message[:_LONGEST].rstrip()} …"
    if not kind or isinstance(error, str):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
