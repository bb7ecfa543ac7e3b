"""Stand-in for ``pytest_steering.specs``: everything but ``tiny:`` is refused."""

from pytest_steering.errors import SpecError


def parse_spec(text: str) -> str:
    return text


def check_spec(spec: str) -> None:
    if not spec.startswith("tiny:"):
        raise SpecError(f"{spec!r} is no model spec")


def check_device(text: str) -> None:
    if text != "cpu":
        raise SpecError(f"{text!r} is no device")


def check_dtype(text: str) -> None:
    if text != "float32":
        raise SpecError(f"{text!r} is no dtype")
