"""When the adapter is made, and what becomes of the model since: done before a session, and undone after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.model_state import THE_CALLERS, Piece, changed, model_state, process_settings
from pytest_steering.oracle.own_changes import without
from pytest_steering.scenarios.prompts import Unfit
from pytest_steering.scenarios.states import training

_WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.float32: torch.float64}


class Changes:
    """What a session does to the model, taken back when it is over."""

    def __init__(self, harness: Harness, make: Callable[[bool], None], odd: list[str], *, watched: bool = True) -> None:
        """What changes beside that is only looked for where it is ``watched``."""
        self._harness = harness
        self._make = make
        self._odd = odd
        self._watched = watched
        self._undo = ExitStack()
        self._state, self._settings = self._now()
        self.computes = ""
        """Why the model computes otherwise than before the session."""
        self.changed: list[Piece] = []
        """What of the model is another when all is over."""
        self.settings: list[str] = []
        """Which settings of the process are."""
        self.after: dict[Piece, object] = {}

    def __enter__(self) -> Self:
        self._make(False)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._undo.close()
        self.after, settings = self._now()
        self.changed = changed(self._state, self.after)
        self.settings = [name for name, value in self._settings.items() if settings[name] != value]

    def _now(self) -> tuple[dict[Piece, Any], dict[str, Any]]:
        if not self._watched:
            return {}, {}
        state = model_state(self._harness.model, values=False)
        return without(state, self._harness.unsteered.changes), process_settings()

    @property
    def before(self) -> dict[Piece, object]:
        """The model as it was."""
        return self._state

    def make(self, how: str) -> None:
        """The adapter is made in this way."""
        # How large vectors are is measured on the model as it was.
        self._harness.unsteered.residual_size(0)
        match how:
            case "in-training":
                with training(self._harness.model):
                    self._made()
            case "trains":
                # The caller trains: the mode is theirs, from before any block until after it.
                self.computes = how
                self._undo.enter_context(training(self._harness.model))
                self._made()
            case "weights":
                self.computes = how
                self._made()
                self._change_weights()
            case "widened":
                self.computes = how
                self._made()
                self._widen()
            case "patched":
                self._made()
                self._patch()
            case "accumulates":
                self._made()
                self._accumulate()
            case _:
                self._made()

    def _made(self) -> None:
        """An adapter is made anew, and of what is the caller's nothing changes by that."""
        before, settings = self._now()
        self._make(True)
        after, now = self._now()
        self._odd += [
            f"making the adapter changes {piece}" for piece in changed(before, after) if piece.kind in THE_CALLERS
        ]
        self._odd += [f"making the adapter changes {name}" for name in settings if settings[name] != now[name]]
        # What is the adapter's own may stay; the modes are put back by whoever changed them.
        self._state |= {piece: value for piece, value in after.items() if piece.kind not in THE_CALLERS}

    def _change_weights(self) -> None:
        layer = self._harness.architecture.layers[self._harness.plans.layers("middle")[0]]
        parameters = _changeable(layer)
        kept = [parameter.detach().clone() for parameter in parameters]
        with torch.no_grad():
            for parameter in parameters:
                parameter.mul_(1.25).add_(0.01)

        def undo() -> None:
            with torch.no_grad():
                for parameter, values in zip(parameters, kept, strict=True):
                    parameter.copy_(values)

        self._undo.callback(undo)

    def _widen(self) -> None:
        model = self._harness.model
        tensors = [*model.parameters(), *model.buffers()]
        dtypes = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
        plain = all(type(each) in (nn.Parameter, Tensor) and not each.is_meta for each in tensors)
        if not plain or len(dtypes) != 1 or (dtype := dtypes.pop()) not in _WIDER:
            raise Unfit("the model has no one dtype that a wider one holds")
        # What is widened and narrowed again has the bits that it had.
        model.to(_WIDER[dtype])
        self._undo.callback(model.to, dtype)

    def _accumulate(self) -> None:
        parameters = _changeable(self._harness.model)[:3]
        before = [parameter.grad for parameter in parameters]
        kept = [torch.ones_like(parameter) for parameter in parameters]
        for parameter, gradient in zip(parameters, kept, strict=True):
            parameter.grad = gradient

        def undo() -> None:
            for parameter, gradient, old in zip(parameters, kept, before, strict=True):
                if parameter.grad is not gradient or not bool((gradient == 1).all()):
                    self._odd.append("gradients that the caller was adding up are gone or changed afterwards")
                parameter.grad = old

        self._undo.callback(undo)

    def _patch(self) -> None:
        layer = self._harness.architecture.layers[self._harness.plans.layers("middle")[0]]
        before, mine = vars(layer).get("forward"), layer.forward

        def patched(*args: Any, **kwargs: Any) -> Any:
            return mine(*args, **kwargs)

        patched.__wrapped__ = mine  # type: ignore[attr-defined]
        layer.forward = patched

        def undo() -> None:
            if vars(layer).get("forward") is not patched:
                self._odd.append("a forward that someone else had patched is gone afterwards")
            vars(layer).pop("forward", None)
            if before is not None:
                layer.forward = before

        self._undo.callback(undo)


def _changeable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that can be computed with where they lie; ``Unfit`` where there is none."""
    computing = (*_WIDER, torch.float64)
    found = [each for each in module.parameters() if each.dtype in computing and not each.is_meta and _computes(each)]
    if not found:
        raise Unfit("the weights cannot be changed in place: they lie elsewhere, or are quantised")
    return found


def _computes(parameter: nn.Parameter) -> bool:
    """Its class can be multiplied and added to in place: a library's own, in which quantised numbers lie, may not."""
    if type(parameter) is nn.Parameter:
        return True
    try:
        parameter.detach().clone().mul_(1.25).add_(0.01)
    except Exception:  # each class has its own way to refuse
        return False
    return True
