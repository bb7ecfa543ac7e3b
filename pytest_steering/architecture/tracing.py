"""A recording of one forward pass: which module received which tensors and returned which."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from pytest_steering.architecture.residual import Path, tensors_in


@dataclass(eq=False)
class Call:
    """One call of one module. Tensors are kept, so that identity means the same tensor and not reused memory."""

    name: str
    module: nn.Module
    started: int
    inputs: list[tuple[Path, Tensor]]
    ended: int = -1
    output: Any = None
    outputs: list[tuple[Path, Tensor]] = field(default_factory=list)

    def receives(self, tensor: Tensor) -> Path | None:
        """The path in ``(args, kwargs)`` at which this call received exactly ``tensor``."""
        return next((path for path, item in self.inputs if item is tensor), None)


def record(model: nn.Module, run: Callable[[], Any]) -> tuple[list[Call], Any]:
    """Every module's calls while ``run`` runs, in the order in which they started, and what ``run`` returned.

    Those of a copy of the model that runs in its place have the same names.
    """
    calls: list[Call] = []
    open_calls: list[Call] = []
    clock = iter(range(1 << 62))
    names: dict[nn.Module, str] = {}

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        call = Call(names[module], module, next(clock), list(tensors_in((args, kwargs))))
        calls.append(call)
        open_calls.append(call)

    def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        call = open_calls.pop()
        while call.module is not module:
            call = open_calls.pop()
        call.ended = next(clock)
        call.output = output
        call.outputs = list(tensors_in(output))

    with ExitStack() as stack:

        def watch(model: nn.Module) -> None:
            for name, module in model.named_modules():
                if module not in names:
                    names[module] = name
                    begin = module.register_forward_pre_hook(before, with_kwargs=True)
                    stack.enter_context(hooked(begin, module.register_forward_hook(after, with_kwargs=True)))

        watch(model)
        stack.enter_context(copies(type(model), watch))
        output = run()
    return calls, output


@contextmanager
def copies(kind: type[nn.Module], begin: Callable[[nn.Module], None]) -> Iterator[None]:
    """``begin`` is told of each module of this class before it first runs in this thread: a model, or a copy of it."""
    seen: set[nn.Module] = set()
    thread = threading.get_ident()

    def told(call: Callable[..., Any], module: nn.Module, args: Any, kwargs: Any) -> Any:
        if module not in seen and threading.get_ident() == thread:
            seen.add(module)
            begin(module)
        return call(module, *args, **kwargs)

    # No hook is early enough: those that one registers on its own module run from the next call on.
    with around_calls(kind, told):
        yield


@contextmanager
def around_calls(
    kind: type[nn.Module], run: Callable[[Callable[..., Any], nn.Module, Any, Any], Any]
) -> Iterator[None]:
    """Every call of a module of this class is what ``run(call, module, args, kwargs)`` returns, hooks and all."""
    own, call = vars(kind).get("__call__"), kind.__call__

    def called(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return run(call, self, args, kwargs)

    kind.__call__ = called  # type: ignore[method-assign]
    try:
        yield
    finally:
        if own is None:
            del kind.__call__
        else:
            kind.__call__ = own  # type: ignore[method-assign]


@contextmanager
def hooked(*handles: Any) -> Iterator[None]:
    """The given hook handles are removed at the end, whatever happens inside."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
