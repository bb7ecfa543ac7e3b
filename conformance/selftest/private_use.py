"""Which private names of other libraries our source uses: found in its syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

from conformance.selftest.places import ROOT
from conformance.selftest.private_interfaces import UNMARKED

LIBRARIES = ("torch", "transformers", "_pytest", "xdist", "huggingface_hub", "hypothesis", "nnsight")
PROMISED = frozenset({"_asdict", "_exit", "_fields", "_replace", "_value_"})
"""Names of named tuples, of enums and of ``os``, which only look private."""
OURS = ("private_interfaces.py", "private_use.py")
"""Where the names stand as strings."""


def used() -> dict[str, set[str]]:
    """Every private name that our source takes from one of the libraries, with the files that do."""
    found: dict[str, set[str]] = {}
    trees = dict(_sources())
    own = {name for tree in trees.values() for name in _defined(tree)}
    for path, tree in trees.items():
        for name in _private_in(tree, own):
            found.setdefault(name, set()).add(path)
    return found


@cache
def _sources() -> tuple[tuple[str, ast.Module], ...]:
    folders = [ROOT / name for name in ("pytest_steering", "conformance", "fixtures")]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py")) if "mini_cwe" not in path.parts]
    return tuple(
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in paths
        if path.name not in OURS
    )


def _defined(tree: ast.Module) -> Iterator[str]:
    """The names that are ours: of functions, classes, variables and attributes of our own objects."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def _private_in(tree: ast.Module, own: set[str]) -> Iterator[str]:
    scheduling = False
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if _is_private(module):
                yield from (alias.name for alias in names)
            case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                if name in UNMARKED or (_looks_private(name) and name not in own):
                    yield name
            case ast.ClassDef(bases=[ast.Name(id="LoadScopeScheduling")], body=body):
                scheduling = True
                yield from (each.name for each in body if isinstance(each, ast.FunctionDef) and each.name != "__init__")
    if scheduling:
        inner = (node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _of_self(node))
        yield from (name for name in inner if name not in _defined_set(tree))


def _defined_set(tree: ast.Module) -> frozenset[str]:
    return frozenset(_defined(tree))


def _of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def _is_private(module: str) -> bool:
    library, *rest = module.split(".")
    return library in LIBRARIES and (library.startswith("_") or any(part.startswith("_") for part in rest))


def _looks_private(name: str) -> bool:
    letters = name.lstrip("_")
    return (
        name.startswith("_")
        and not name.startswith("__")
        and letters[:1].isalpha()
        and name not in PROMISED
        and name.isidentifier()
    )
