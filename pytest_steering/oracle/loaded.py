"""A model as it was loaded: what an adapter changes of it, and what it does by itself, is told by this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from pytest_steering.architecture.tracing import hooked
from pytest_steering.errors import TargetError, one_line
from pytest_steering.oracle import runs
from pytest_steering.oracle.model_state import THE_CALLERS, Kind, Piece, Snapshot, changed, model_state
from pytest_steering.oracle.own_changes import without
from pytest_steering.oracle.process_settings import process_settings, put_back
from pytest_steering.oracle.tolerance import furthest, rounding
from pytest_steering.oracle.unsteered import Unsteered
from pytest_steering.targets.target import Target


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model as it is before any adapter is made for it."""

    target: Target
    unsteered: Unsteered
    snapshot: Snapshot
    state: dict[Piece, Any]
    settings: dict[str, Any]
    tokens: Tensor | None
    """What the model generates; ``None`` when it cannot."""

    @classmethod
    def of(cls, target: Target) -> Self:
        """The model now; ``TargetError`` for one that computes NaN or has noise of its own: no steering can be told."""
        unsteered = Unsteered.of(target)
        # Asked before any adapter is made: what one breaks must not look like the model's own.
        if target.has_weights and unsteered.not_a_number:
            raise TargetError(f"{target.spec}: {unsteered.not_a_number}")
        if target.has_weights and unsteered.noise:
            raise TargetError(
                f"{target.spec}: {unsteered.noise}: the model has noise of its own, which no steering can be told "
                "from; switch off what is random in it"
            )
        can = target.has_weights and not unsteered.cannot_generate
        tokens = unsteered.generate(unsteered.prompts.batch()) if can else None
        measured = unsteered.computed_in, unsteered.changes
        state = without(model_state(target.model, values=target.has_weights), measured[1])
        return cls(target, unsteered, Snapshot(target.model), state, process_settings(), tokens)

    def changes(self) -> tuple[Piece | str, ...]:
        """What is the caller's and is another now: pieces of the model, and settings of the process."""
        settings = process_settings()
        pieces = changed(self.state, self._state())
        return (
            *self._computed(),
            *(
                piece
                for piece in pieces
                if piece in self.state and piece.kind in THE_CALLERS | {Kind.VALUES, Kind.BUFFER}
            ),
            *(name for name, value in self.settings.items() if settings[name] != value),
        )

    def _state(self) -> dict[Piece, Any]:
        return without(model_state(self.target.model, values=self.target.has_weights), self.unsteered.changes)

    def _computed(self) -> Iterator[str]:
        """What the model itself computes otherwise."""
        if not self.target.has_weights:
            return
        batch = self.unsteered.prompts.batch()
        before, tokens = self.unsteered.run(batch).result, self.tokens
        if not _holds(lambda: furthest(self.unsteered.run_again(batch).result, before) <= rounding(before)):
            yield "what the unsteered model computes"
        if tokens is not None and not _holds(lambda: torch.equal(self.unsteered.generate(batch), tokens)):
            yield "what the unsteered model generates"

    def restore(self) -> None:
        """The model and the settings are what they were."""
        self.snapshot.restore()
        put_back(self.settings)

    def cannot_copy(self) -> str:
        """Why no copy of the model runs decoder layers of its own when it is called; empty when one does."""
        architecture = self.unsteered.architecture
        now = Snapshot(self.target.model)
        self.snapshot.restore()
        try:
            other = self.target.copied()
        except Exception as error:  # sharded weights, locks and open files each have a reason of their own
            return f"the unsteered model cannot be copied: {one_line(error)}"
        finally:
            now.restore()
        calls: set[nn.Module] = set()
        layers = {other.get_submodule(layer.name) for layer in architecture.decoder_layers}
        watched = (layer.register_forward_pre_hook(lambda module, _args: calls.add(module)) for layer in layers)
        with hooked(*watched), runs.running(self.target):
            other(**self.unsteered.prompts.batch())
        return "" if calls == layers else "a copy of the unsteered model runs the modules of the original"


def _holds(question: Callable[[], bool]) -> bool:
    """False also where it cannot be answered any more."""
    try:
        return question()
    except Exception:  # whatever the adapter has put in its place
        return False
