"""Stand-in for ``pytest_steering.targets.spec``: everything but ``tiny:`` is refused."""

from pytest_steering.errors import SpecError

TEXT, IMAGE_TEXT = "text-generation", "image-text-to-text"


def parse_spec(text: str) -> str:
    return text


def check_spec(spec: str) -> None:
    if not spec.startswith("tiny:"):
        raise SpecError(f"{spec!r} is no model spec")


def check_task(text: str, task: str) -> str:
    if task not in (TEXT, IMAGE_TEXT):
        raise SpecError(f"{text}: there is no task {task!r}")
    return task


def tiny_types(task: str) -> tuple[str, ...]:
    """Eight that write text and three that see, one of which is in both."""
    return ("d", "a", "a-b", "qa", "qb", "x1", "x2", "broken") if task == TEXT else ("see", "a", "qsee")


def check_device(text: str) -> None:
    if text != "cpu":
        raise SpecError(f"{text!r} is no device")


def check_dtype(text: str) -> None:
    if text != "float32":
        raise SpecError(f"{text!r} is no dtype")
