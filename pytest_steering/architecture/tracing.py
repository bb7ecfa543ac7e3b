"""A recording of one forward pass: which module received which tensors and returned which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    """Every module's calls while ``run`` runs, in the order in which they started, and what ``run`` returned."""
    calls: list[Call] = []
    open_calls: list[Call] = []
    clock = iter(range(1 << 62))
    names = {module: name for name, module in model.named_modules()}

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

    with hooked(
        *(module.register_forward_pre_hook(before, with_kwargs=True) for module in names),
        *(module.register_forward_hook(after, with_kwargs=True) for module in names),
    ):
        output = run()
    return calls, output


@contextmanager
def hooked(*handles: Any) -> Iterator[None]:
    """The given hook handles are removed at the end, whatever happens inside."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
