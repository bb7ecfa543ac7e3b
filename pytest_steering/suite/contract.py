"""The contract of an adapter as Markdown tables: from the docstrings of the protocol and of the capabilities."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from pytest_steering.adapters import protocol
from pytest_steering.steering import capability


def capabilities() -> str:
    """Every capability and what an adapter promises by it."""
    return _table("capability", "what is promised", documented(capability.__file__, "Capability"))


def attributes() -> str:
    """Everything that the suite reads of an adapter."""
    return _table("attribute", "what it says", documented(protocol.__file__, "SteeringAdapter"))


def documented(path: str, name: str) -> Iterator[tuple[str, str]]:
    """The attributes and methods of one class with their docstrings, each on one line."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef):
            yield f"{node.name}({', '.join(a.arg for a in node.args.args[1:])})", _line(ast.get_docstring(node) or "")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                yield ast.unparse(target), _line(str(following.value.value))


def _line(docstring: str) -> str:
    return " ".join(inspect.cleandoc(docstring).split()).removesuffix(".").replace("``", "`")


def _table(name: str, says: str, rows: Iterator[tuple[str, str]]) -> str:
    head = [f"| {name} | {says} |", "|---|---|"]
    return "\n".join([*head, *(f"| `{attribute}` | {text} |" for attribute, text in rows)])
