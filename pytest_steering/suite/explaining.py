"""What one requirement, or the terms of all of them, mean: put together from docstrings, for a reader of a failure."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pytest_steering.errors import SpecError
from pytest_steering.steering import capability, plan
from pytest_steering.suggesting import meant
from pytest_steering.suite.catalogue import PARALLEL, Requirement, catalogue, fixtures_directory, suite_directory
from pytest_steering.suite.contract import documented

TOLERANCE = Path(__file__).resolve().parents[1] / "oracle" / "tolerance.py"


def explained(name: str) -> str:
    """One requirement: its sentence, what is run, the tolerance, its needs, and the known-bad adapters that break it.

    ``SpecError`` for an id that there is not.
    """
    if name not in catalogue():
        raise SpecError(f"there is no requirement {name!r}{meant(name, catalogue(), repr, cutoff=0.4)}")
    requirement = catalogue()[name]
    parts = [
        (requirement.id, f"{requirement.sentence}."),
        ("group", f"{requirement.group}, since {requirement.since}, {'core' if requirement.core else 'full'}"),
        ("what is run", _run(requirement)),
        ("tolerance", _tolerance()),
        ("needs", "; ".join(_needs(requirement)) or "nothing beyond the core"),
        (
            "broken by",
            ", ".join(breakers()[name]) or "none by what they say: it is about the model, or about trained weights",
        ),
        ("alone", _alone(requirement)),
    ]
    return "\n".join(f"{title}:\n{textwrap.indent(text, '    ')}" for title, text in parts)


def _alone(requirement: Requirement) -> str:
    """The command that asks this requirement alone, of the built-in adapter on a small model."""
    asked = f'--steering-model=tiny:llama -m "steering_requirement(id={requirement.id!r})"'
    if requirement.group == PARALLEL:
        return f"torchrun --nproc-per-node=2 -m pytest --steering-parallel=tensor {asked}"
    return f"pytest {asked}"


def terms() -> str:
    """Positions, the noise floor and the tolerance, as their docstrings have them."""
    positions = "\n".join(f"- `{name}`: {text}" for name, text in documented(plan.__file__, "Positions"))
    return f"Positions of a plan:\n\n{positions}\n\nTolerance and noise floor:\n\n{_tolerance()}"


def _run(requirement: Requirement) -> str:
    """What the test does: the rest of its docstring, its parameters, and its steps."""
    path = suite_directory() / requirement.nodeid.partition("::")[0].rpartition("/")[2]
    function = _function(path, requirement.nodeid.partition("::")[2])
    more = (ast.get_docstring(function) or "").partition("\n\n")[2].strip()
    body = function.body[1:]
    source = path.read_text(encoding="utf-8").splitlines()
    steps = textwrap.dedent("\n".join(source[body[0].lineno - 1 : body[-1].end_lineno]))
    marks = [ast.unparse(each) for each in function.decorator_list]
    cases = [mark.removeprefix("pytest.mark.") for mark in marks if ".parametrize(" in mark]
    return "\n".join([*([more, ""] if more else []), *cases, steps])


def _needs(requirement: Requirement) -> Iterator[str]:
    promised = dict(documented(capability.__file__, "Capability"))
    for need in requirement.needs:
        text = promised.get(need.upper())
        yield f"{need.upper()} ({text})" if text else f"{need} (of the model)"


@cache
def breakers() -> dict[str, list[str]]:
    """The bundled known-bad adapters that break each requirement by what they say; nothing is imported to know them."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((fixtures_directory() / "known_bad").rglob("*.py"))
    ]
    values = dict(pair for tree in trees for node in tree.body for pair in _assigned(node))
    found: dict[str, list[str]] = {name: [] for name in catalogue()}
    for node in (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        own = [value for each in node.body for name, value in _assigned(each) if name in ("chiefly", "breaks")]
        for name in sorted({text for value in own for text in _ids(value, values)} & found.keys()):
            found[name].append(node.name)
    return found


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        for target in targets:
            yield ast.unparse(target), node.value


def _ids(value: ast.expr, values: dict[str, ast.expr]) -> set[str]:
    """The requirement ids that an expression of ids, of sets of them and of constants comes to."""
    match value:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _ids(left, values) - _ids(right, values)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _ids(left, values) | _ids(right, values)
        case ast.Set(elts=elements) | ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Call(args=elements):
            return {text for each in elements for text in _ids(each, values)}
        case ast.Name(id="EVERYTHING"):
            return {each.id for each in catalogue().values() if each.group != "uses" and "overhead" not in each.id}
        case ast.Name(id=name) if name in values:
            return _ids(values[name], values)
    return set()


def _function(path: Path, name: str) -> ast.FunctionDef:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == name)


def _tolerance() -> str:
    """What counts as equal: the docstring of the module that says so, and of each of its functions."""
    tree = ast.parse(TOLERANCE.read_text(encoding="utf-8"))
    told = [ast.get_docstring(tree) or ""]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            told.append(f"- {node.name}: {' '.join((ast.get_docstring(node) or '').split())}")
    return "\n".join(told)
