"""What a model spec means, and what can be known to be wrong with it before anything is loaded."""

# The plugin parses every spec with this module, so transformers is imported only when a type is looked up.
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from pytest_steering.errors import SpecError, one_line
from pytest_steering.importing import ImportFailed, imported
from pytest_steering.suggesting import meant
from pytest_steering.targets.gguf_paths import check_gguf_path, gguf_in, is_gguf
from pytest_steering.targets.tiny.sizes import SMALL, Sizes, parted, sizes_in
from pytest_steering.targets.type_names import transformers_version, type_names

Task = Literal["text-generation", "image-text-to-text"]
TEXT: Final = "text-generation"
IMAGE_TEXT: Final = "image-text-to-text"
TASKS: Final[tuple[Task, ...]] = (TEXT, IMAGE_TEXT)

_CALLABLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_HUB_PART = r"\w(?:[\w.-]*\w)?"
_HUB_ID = re.compile(rf"(?!.*(--|\.\.)){_HUB_PART}(/{_HUB_PART})?", re.ASCII)
_WILDCARDS = frozenset("*?[")
_FORMS = "a Hub id, a directory, a GGUF file, tiny:TYPE, config:DIRECTORY or module:callable"


class SpecKind(StrEnum):
    """Where a model comes from."""

    HUB = "hub"
    """A Hub id: ``name`` or ``owner/name``."""
    DIRECTORY = "directory"
    """A directory that holds a checkpoint."""
    GGUF = "gguf"
    """``model.gguf``: a file as llama.cpp has it."""
    TINY = "tiny"
    """``tiny:TYPE``, ``tiny:TYPE@TASK`` or either with ``?layers=N&hidden=N``: a small random instance of a
    transformers model type."""
    CONFIG = "config"
    """``config:PATH``: full-size shapes from a config.json, without weights."""
    CALLABLE = "callable"
    """``module:callable``: a function that returns the model."""
    GIVEN = "given"
    """A model of this process, under the name of its class: nothing can be typed that means it."""


@dataclass(frozen=True)
class Spec:
    """A parsed model spec: the ``text`` as typed, its ``kind``, and the ``value`` without its prefix.

    Its text is what identifies it: in node ids, in messages to other processes, and in reports.
    """

    text: str
    kind: SpecKind
    value: str

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for every ``tiny:`` type that fits it."""
        return self.kind is SpecKind.TINY and not _WILDCARDS.isdisjoint(parted(self.value)[0])

    def __str__(self) -> str:
        return self.text


def parse_spec(text: str) -> Spec:
    """What ``text`` means by its form: a prefix first, then ``module:callable``, a path, a Hub id."""
    for kind in (SpecKind.TINY, SpecKind.CONFIG):
        if text.startswith(f"{kind}:"):
            return Spec(text, kind, text.removeprefix(f"{kind}:"))
    if _CALLABLE.fullmatch(text):
        return Spec(text, SpecKind.CALLABLE, text)
    if is_gguf(text):
        return Spec(text, SpecKind.GGUF, text)
    return Spec(text, SpecKind.DIRECTORY if _is_path(text) else SpecKind.HUB, text)


def check_spec(spec: Spec) -> None:
    """The spec can be meant, as far as is known without loading; otherwise ``SpecError`` says why."""
    if not spec.text.strip():
        raise SpecError(f"the model spec is empty: give {_FORMS}")
    try:
        _check_kind(spec)
    except (OSError, ValueError) as error:  # longer than a path may be, or no text that a path may hold
        reason = (isinstance(error, OSError) and error.strerror) or one_line(error, kind=False)
        raise SpecError(f"{spec.text}: it cannot be a path ({reason}); give {_FORMS}") from None


def path_of(text: str) -> Path:
    """The path that a user wrote, with ``~`` followed where there is such a user."""
    return Path(os.path.expanduser(text))


def _check_kind(spec: Spec) -> None:
    match spec.kind:
        case SpecKind.HUB:
            _check_hub(spec)
        case SpecKind.DIRECTORY:
            _check_directory(spec)
        case SpecKind.GGUF:
            check_gguf_path(spec.text, Path(spec.value))
        case SpecKind.TINY:
            _check_tiny(spec)
        case SpecKind.CONFIG:
            read_config(spec)
        case SpecKind.CALLABLE:
            find_callable(spec)


def find_callable(spec: Spec) -> Callable[[], Any]:
    """The callable that ``module:callable`` names; the current directory is importable for it.

    ``SpecError`` when the module is missing or fails while it is imported, and when the attribute is missing
    or cannot be called.
    """
    module_name, _, attribute = spec.value.partition(":")
    found: Any = _imported(spec, module_name)
    for step in attribute.split("."):
        if not hasattr(found, step):
            hint = meant(step, [name for name, value in vars(found).items() if callable(value)], most=3)
            raise SpecError(f"{spec.text}: {module_name} has no attribute {step!r}{hint}")
        found = getattr(found, step)
    if not callable(found):
        raise SpecError(
            f"{spec.text}: {attribute} is of type {type(found).__name__} and cannot be called; "
            "name a callable that returns a torch.nn.Module or (model, tokenizer)"
        )
    result: Callable[[], Any] = found
    return result


def read_config(spec: Spec) -> dict[str, Any]:
    """The contents of the config.json that ``config:PATH`` names; ``SpecError`` when there are none."""
    if not spec.value:
        raise SpecError(f"{spec.text} names no path; give a directory with a config.json, or the file")
    path = path_of(spec.value)
    if path.is_dir():
        path = path / "config.json"
        if not path.is_file():
            raise SpecError(f"{spec.text}: the directory has no config.json")
    elif not path.is_file():
        raise SpecError(f"{spec.text}: there is no such file or directory")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError(f"{spec.text}: {path.name} is not valid JSON: {one_line(error, kind=False)}") from None
    if not isinstance(config, dict):
        raise SpecError(f"{spec.text}: {path.name} holds JSON of type {type(config).__name__}, not an object")
    return config


def tiny_types(task: Task = TEXT) -> tuple[str, ...]:
    """The model types that the installed transformers knows for ``task``."""
    return type_names(
        "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES" if task == TEXT else "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"
    )


def tiny_of(spec: Spec) -> tuple[str, Task]:
    """The model type and the task of ``tiny:TYPE`` or ``tiny:TYPE@TASK``.

    Without a task it is text generation where the type has a text decoder of its own.
    """
    model_type, at, said = parted(spec.value)[0].partition("@")
    task = check_task(spec.text, said) if at else tiny_task(model_type)
    if model_type not in tiny_types(task):
        raise SpecError(unknown_type(model_type, tiny_types(task), task))
    return model_type, task


def sizes_of(spec: Spec) -> Sizes:
    """The sizes that a ``tiny:`` spec gives, or those of one that gives none."""
    return sizes_in(spec.text, parted(spec.value)[1])


def tiny_task(model_type: str) -> Task:
    """The task that ``tiny:TYPE`` means: text generation where the type has a text decoder of its own."""
    for task in TASKS:
        if model_type in tiny_types(task):
            return task
    raise SpecError(unknown_type(model_type, tuple(dict.fromkeys(tiny_types(TEXT) + tiny_types(IMAGE_TEXT)))))


def check_task(text: str, task: str) -> Task:
    """``task``, which the spec ``text`` names, when it is one; otherwise ``SpecError`` lists them."""
    if task not in TASKS:
        raise SpecError(f"{text}: there is no task {task!r}; give {' or '.join(TASKS)}")
    return task


def unknown_type(model_type: str, known: tuple[str, ...], task: str = "") -> str:
    """The sentence about a ``tiny:`` type that is none of the ``known``, with the closest of them."""
    at, what = (f"@{task}", task) if task else ("", "language")
    hint = meant(model_type, known, lambda name: f"tiny:{name}{at}", most=3, cutoff=0.5)
    return f"tiny:{model_type}{at}: transformers {transformers_version()} has no {what} model type {model_type!r}{hint}"


def _is_path(text: str) -> bool:
    if text.startswith((".", "/", "~")):
        return True
    try:
        return bool(text) and (Path(text).exists() or ("/" in text and Path(text).parent.is_dir()))
    except (OSError, ValueError):  # longer than a path may be, or holding a null byte
        return False


def _imported(spec: Spec, module_name: str) -> Any:
    try:
        return imported(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise SpecError(_no_module(spec, error.name)) from None
        raise SpecError(f"{spec.text}: importing {module_name} failed: {one_line(error)}") from error
    except ImportFailed as failed:
        said = one_line(failed.__cause__ or failed)
        raise SpecError(f"{spec.text}: importing {module_name} failed: {said}") from failed


def _no_module(spec: Spec, missing: str) -> str:
    prefix, _, rest = spec.value.partition(":")
    kinds, otherwise = (SpecKind.TINY.value, SpecKind.CONFIG.value), "it must be installed or in the current directory"
    hint = meant(prefix, kinds, lambda kind: f"{kind}:{rest}", cutoff=0.7, otherwise=otherwise)
    return f"{spec.text}: there is no module {missing!r}{hint}"


def _check_directory(spec: Spec) -> None:
    path = path_of(spec.value)
    if not path.exists():
        raise SpecError(f"{spec.text}: there is no such directory; {_directory_remedy(spec, path)}")
    if not path.is_dir():
        raise SpecError(f"{spec.text} is a file; give the directory that holds config.json and the weights")
    own = (weights for kind in ("model*.safetensors", "*.gguf") for weights in path.glob(kind))
    if (path / "adapter_config.json").is_file() and not any(own):
        if find_spec("peft") is None:
            raise SpecError(
                f"{spec.text} holds an adapter of PEFT, and peft is not installed: "
                "pip install 'pytest-steering[models]'"
            )
        return
    if not (path / "config.json").is_file() and gguf_in(spec.text, path) is None:
        raise SpecError(f"{spec.text}: the directory has no config.json, so it is no checkpoint")


def _directory_remedy(spec: Spec, path: Path) -> str:
    if _HUB_ID.fullmatch(spec.value):
        return f"for a Hub model of that name, run where there is no directory {str(path.parent)!r}"
    siblings = [entry.name for entry in path.parent.iterdir() if entry.is_dir()] if path.parent.is_dir() else []
    return meant(path.name, siblings, most=3, lead="", otherwise="give one that holds config.json and the weights")


def _check_hub(spec: Spec) -> None:
    if not _HUB_ID.fullmatch(spec.value):
        raise SpecError(f"{spec.text!r} is neither a directory nor a Hub id (name or owner/name): give {_FORMS}")


def _check_tiny(spec: Spec) -> None:
    if not parted(spec.value)[0]:
        raise SpecError("tiny: names no model type; give for example tiny:llama")
    if spec.is_pattern:
        raise SpecError(f"{spec.text} is a pattern; give one type per spec, for example tiny:llama")
    sizes, (model_type, task) = sizes_of(spec), tiny_of(spec)
    if sizes != SMALL:
        from pytest_steering.targets.tiny.models import check_sizes

        check_sizes(spec.text, model_type, task, sizes)


def spec_in(nodeid: str, specs: Container[str]) -> str:
    """The longest of ``specs`` that the parameters of a node id start with; empty when none does.

    A set of specs is not searched through: a run may have hundreds, and tens of thousands of ids.
    """
    start = nodeid.partition("[")[2].removesuffix("]")
    while start and start not in specs:
        start = start.rpartition("-")[0]
    return start
