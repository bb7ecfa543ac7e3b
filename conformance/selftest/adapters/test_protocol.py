"""The contract of an adapter is whole: nothing is read of one that the protocol does not name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from conformance.selftest.places import ROOT
from pytest_steering.adapters.protocol import SteeringAdapter, accumulates, version_of

SOURCES = [
    path
    for folder in ("pytest_steering", "conformance")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "selftest" not in path.parts and (path.parent.name != "adapters" or path.name in ("protocol.py", "registry.py"))
]
"""All that judges adapters, and nothing that is one."""
NAMED = {*SteeringAdapter.__annotations__, "steer"}


def read_of_adapters(source: str) -> Iterator[str]:
    """The attributes that are read of anything called an adapter, also by ``getattr``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and _is_adapter(node.value):
            yield node.attr
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("getattr", "hasattr")
            and _is_adapter(node.args[0])
        ):
            name = node.args[1]
            if isinstance(name, ast.Constant):
                yield str(name.value)


def _is_adapter(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2] in ("adapter", "steering_adapter")


def test_what_is_read_is_what_the_protocol_names() -> None:
    found = {name for path in SOURCES for name in read_of_adapters(path.read_text(encoding="utf-8"))}
    assert found == NAMED


@pytest.mark.parametrize(
    "source", ["adapter.wanted", "self.adapter.wanted", "harness.adapter.wanted()", "getattr(adapter, 'wanted', 1)"]
)
def test_every_way_to_read_is_seen(source: str) -> None:
    assert set(read_of_adapters(source)) == {"wanted"}


def test_each_attribute_has_a_docstring() -> None:
    path = Path(ROOT / "pytest_steering" / "adapters" / "protocol.py")
    body = next(node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)).body
    for node, following in pairwise(body):
        if isinstance(node, ast.AnnAssign):
            assert isinstance(following, ast.Expr), ast.unparse(node)


class Bare:
    """An adapter that leaves out what may be left out."""

    name = "bare"


def test_what_may_be_left_out_has_a_default() -> None:
    assert (version_of(Bare()), accumulates(Bare())) == ("", False)  # type: ignore[arg-type]
    given = type("Given", (Bare,), {"version": "1.2", "accumulates": True})()
    assert (version_of(given), accumulates(given)) == ("1.2", True)
