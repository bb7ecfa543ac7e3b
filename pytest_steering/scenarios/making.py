"""When the adapter is made, and what becomes of the model since: done before a session, and undone after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.model_state import THE_CALLERS, Piece, changed, model_state
from pytest_steering.oracle.own_changes import without
from pytest_steering.oracle.process_settings import process_settings
from pytest_steering.scenarios.changing import CHANGES, COMPUTES
from pytest_steering.scenarios.states import training


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
        if how == "in-training":
            with training(self._harness):
                self._made()
        elif how == "trains":
            # The mode is the caller's from before any block until after it.
            self.change(how)
            self._made()
        else:
            self._made()
            if how in CHANGES:
                self.change(how)

    def change(self, what: str) -> None:
        """The caller changes the model, which is taken back when the session is over; ``Unfit`` where it cannot be."""
        if what in COMPUTES:
            self.computes = " ".join((self.computes, what)).lstrip()
        undo = CHANGES[what](self._harness)
        self._undo.callback(lambda: self._odd.extend(filter(None, (undo(),))))

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
