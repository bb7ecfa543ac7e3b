"""The model types of the installed transformers, read from its source: to import it takes seconds, for torch."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_MODULE = "transformers.models.auto.modeling_auto"


def type_names(mapping: str) -> tuple[str, ...]:
    """The keys of one of the mappings that transformers keeps of its model types, in its order.

    They are those of the module itself where it is imported, or where its source does not spell them out.
    """
    if _MODULE in sys.modules:
        return tuple(getattr(sys.modules[_MODULE], mapping))
    return _written().get(mapping) or tuple(getattr(import_module(_MODULE), mapping))


def transformers_version() -> str:
    """Of the installed transformers."""
    return version("transformers")


@cache
def _written() -> dict[str, tuple[str, ...]]:
    """Every mapping whose keys all stand in the source as they are."""
    package = find_spec("transformers")
    if package is None or package.origin is None:
        return {}
    try:
        source = Path(package.origin).parent.joinpath("models", "auto", "modeling_auto.py").read_text(encoding="utf-8")
        body = ast.parse(source).body
    except (OSError, ValueError, SyntaxError):
        return {}
    return dict(_mappings(body))


def _mappings(body: list[ast.stmt]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for statement in body:
        match statement:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Name(id="OrderedDict"), args=[ast.List(elts=pairs)]),
            ):
                keys = [pair.elts[0] for pair in pairs if isinstance(pair, ast.Tuple) and pair.elts]
                words = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
                if len(words) == len(pairs):
                    yield name, tuple(dict.fromkeys(words))
