"""One model at work on a few tokens: what was recorded, and what happens when a layer's output is edited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from pytest_steering.architecture.axes import OTHER_ROWS, OTHER_TOKENS, ROWS, TOKENS, layout_of
from pytest_steering.architecture.candidates import Link
from pytest_steering.architecture.inputs import ModelInputs, possible_inputs, seeded_ids
from pytest_steering.architecture.residual import Layout, Path, logits_of, same_bits, tensors_in
from pytest_steering.architecture.tracing import Call, hooked, record
from pytest_steering.errors import ArchitectureError


class Probe:
    """A model that was run once on ``ROWS`` rows of ``TOKENS`` tokens, every call recorded.

    Raises ``ArchitectureError`` when it runs on no text or returns no logits.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.fake = has_no_values(model)
        """There are shapes and no values."""
        self.ids = seeded_ids(model, ROWS, TOKENS)
        self.mask = None if self.fake else torch.ones_like(self.ids)
        """The attention mask that the model is given, if it takes one: without values there is nothing to mask."""
        self.model_inputs, self.calls, output = self._recorded()
        self.logits = _logits(model, output)
        self._outcomes: dict[Link, tuple[Any, Tensor]] = {}
        self._other: dict[nn.Module, list[Call]] | None = None

    def run(self) -> Any:
        """What the model returns."""
        return self.model_inputs.call(self.model, self.ids, self.mask)

    def layout(self, link: Link) -> Layout | None:
        """The axes of what ``link`` emits, if they can be told."""

        def other() -> Sequence[int] | None:
            again = self._in_other_lengths(link.module)
            if link.number >= len(again):
                return None
            return next((tensor.shape for path, tensor in again[link.number].outputs if path == link.path), None)

        return layout_of(link.path, link.emitted.shape, other)

    def outcome(self, link: Link, layout: Layout) -> tuple[Any, Tensor]:
        """What the model returns under the edit of :meth:`edited`, and the push; run once for each link."""
        if link not in self._outcomes:
            self._outcomes[link] = self.edited(link, layout, self.run)
        return self._outcomes[link]

    def edited(self, link: Link, layout: Layout, run: Callable[[], Any]) -> tuple[Any, Tensor]:
        """What ``run`` returns while the last token of what ``link`` emits is pushed, and the push ``(hidden,)``."""
        layout = replace(layout, path=link.path)
        pushed: list[Tensor] = []
        calls = iter(range(1 << 62))

        def edit(_module: nn.Module, _args: Any, output: Any) -> Any:
            if next(calls) != link.number:
                return None
            residual = layout.canonical(layout.read(output)).clone()
            size = residual[:, -1].float().abs().amax().to(residual) + 1
            pushed.append(torch.linspace(-1, 1, residual.shape[-1]).to(residual) * size)
            residual[:, -1] += pushed[-1]
            return layout.write(output, layout.native(residual))

        with hooked(link.module.register_forward_hook(edit)):
            returned = run()
        return returned, pushed[-1]

    def _recorded(self) -> tuple[ModelInputs, list[Call], Any]:
        failures: list[tuple[str, Exception]] = []
        for model_inputs in possible_inputs(self.model):
            try:
                return model_inputs, *record(self.model, partial(model_inputs.call, self.model, self.ids, self.mask))
            except Exception as error:
                reason = " ".join(str(error).split()) or "no message"
                beside = f"with {' and '.join(model_inputs.beside)}: " if model_inputs.beside else ""
                failures.append((f"{beside}{type(error).__name__}: {reason}", error))
        told = "; ".join(dict.fromkeys(reason for reason, _ in failures))
        raise ArchitectureError(
            f"{type(self.model).__name__} does not run on {ROWS} rows of {TOKENS} tokens: {told}"
        ) from failures[0][1]

    def _in_other_lengths(self, module: nn.Module) -> list[Call]:
        if self._other is None:
            self._other = defaultdict(list)
            ids = seeded_ids(self.model, OTHER_ROWS, OTHER_TOKENS)
            mask = None if self.mask is None else torch.ones_like(ids)
            for call in record(self.model, lambda: self.model_inputs.call(self.model, ids, mask))[0]:
                self._other[call.module].append(call)
        return self._other[module]


def has_no_values(model: nn.Module) -> bool:
    """The model has shapes and no weights."""
    return any(isinstance(parameter, FakeTensor) for parameter in model.parameters())


def _logits(model: nn.Module, output: Any) -> Tensor:
    try:
        return logits_of(output)
    except LookupError as error:
        raise ArchitectureError(
            f"{type(model).__name__} returns no logits ({error}): load it with its language-model head"
        ) from error


_ROUNDING = 16


class Reach(StrEnum):
    """Whose logits an edit of the last token moves."""

    OWN = "own"
    """Its own alone, as in a causal decoder."""
    ANY = "any"
    """Others too."""
    NONE = "none"


@dataclass(frozen=True, eq=False)
class Handover:
    """How the next layer receives what a layer emitted."""

    call: Call | None = None
    """The call that receives it unchanged; none when the model computes on it in between."""
    path: Path = ()
    """Where it sits in that call's ``(args, kwargs)``."""


def reach(probe: Probe, link: Link, layout: Layout) -> Reach:
    """Whose logits an edit of the last token of what ``link`` emits moves.

    Without values (fake tensors) the autograd graph tells whether the logits depend on it at all.
    """
    if probe.fake:
        return Reach.OWN if _depends(probe.logits, link.emitted) else Reach.NONE
    returned, _ = probe.outcome(link, layout)
    moved = (logits_of(returned) != probe.logits).any(-1)
    if not bool(moved.any()):
        return Reach.NONE
    if moved.ndim != 2 or moved.shape[1] != TOKENS or not bool(moved[:, -1].all()):
        return Reach.ANY
    return Reach.ANY if bool(moved[:, :-1].any()) else Reach.OWN


def handover(probe: Probe, link: Link, layout: Layout, following: Link) -> Handover | None:
    """How ``following`` receives what ``link`` emits; ``None`` when an edit of it does not arrive there at all."""
    for call in following.members:
        if (path := call.receives(link.emitted)) is not None:
            return Handover(call, path)
    if probe.fake:
        inputs = [tensor for call in following.members for _, tensor in call.inputs if tensor.requires_grad]
        return Handover() if any(_depends(tensor, link.emitted) for tensor in inputs) else None
    (calls, _), push = probe.edited(link, layout, lambda: record(probe.model, probe.run))
    received = None
    for call in following.members:
        same = [again for again in calls if again.module is call.module]
        number = [before for before in probe.calls if before.module is call.module].index(call)
        if number >= len(same):
            continue
        for (path, tensor), (_, edited) in zip(call.inputs, same[number].inputs, strict=False):
            if tensor.shape != edited.shape or not tensor.is_floating_point() or torch.equal(tensor, edited):
                continue
            if tensor.shape == link.emitted.shape and _unchanged(layout, tensor, edited, push):
                return Handover(call, path)
            received = Handover()
    return received


def read_elsewhere(probe: Probe, link: Link, layout: Layout, receiver: Call, path: Path) -> bool:
    """Something beside ``receiver`` reads what ``link`` emits: to edit what it receives is another thing than to edit
    what is emitted.

    Told by all that the model returns, its memory of hidden states included. Without values nothing can be told.
    """
    if probe.fake:
        return False
    emitted, push = probe.outcome(link, layout)

    def edit(_module: nn.Module, args: Any, kwargs: Any) -> Any:
        place = replace(layout, path=path)
        residual = layout.canonical(place.read((args, kwargs))).clone()
        residual[:, -1] += push
        return place.write((args, kwargs), layout.native(residual))

    with hooked(receiver.module.register_forward_pre_hook(edit, with_kwargs=True)):
        received = probe.run()
    pairs = zip(tensors_in(emitted), tensors_in(received), strict=False)
    return not all(same_bits(one, other) for (_, one), (_, other) in pairs)


def _unchanged(layout: Layout, plain: Tensor, edited: Tensor, push: Tensor) -> bool:
    """The edit arrives as it was made: the push at the last token and nothing elsewhere."""
    moved = layout.canonical(edited.double() - plain.double())
    moved[:, -1] -= push.double()
    size = max(float(plain.abs().amax()), float(push.abs().amax()))
    return float(moved.abs().amax()) <= _ROUNDING * torch.finfo(plain.dtype).eps * size


def _depends(result: Tensor, source: Tensor) -> bool:
    if not result.requires_grad or not source.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(result.float().sum(), [source], allow_unused=True, retain_graph=True)
    return gradient is not None
