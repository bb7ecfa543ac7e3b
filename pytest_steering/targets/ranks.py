"""One model over several processes: which of them this one is, and how they keep in step.

Each rank is a run of its own, started by ``torchrun``. All run the same calls of the model in the same order; where one
has failed and another goes on, they would wait for each other for good. So each says what it is about to do before it
does what all must do together.
"""

# The plugin checks its options with this module, so torch is imported only when there are ranks.
# ruff: noqa: PLC0415

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from enum import IntEnum
from typing import Any, ClassVar, Self, TypeVar

from pytest_steering.errors import SteeringError, one_line

T = TypeVar("T")
TENSOR = "tensor"
FSDP2 = "fsdp2"
WAYS = {
    TENSOR: "tensor parallel, by transformers' tp_plan",
    FSDP2: "FSDP2, a shard of each decoder layer on each rank",
}
"""How a model is spread, as ``--steering-parallel`` names it."""
LONGEST = 7 * 24 * 3600.0
"""Seconds that ranks wait for one another where no limit is set."""


class OutOfStep(RuntimeError):
    """Another rank does something else now: it has failed, or is already done with this test."""


class RankGone(SteeringError):
    """Another rank has ended or does not answer."""


def ranks_started() -> int:
    """As many processes as ``torchrun`` has started for this run; 1 where it was not started so."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def this_rank() -> int:
    """The number of this process among them; the first, which alone speaks, is 0."""
    return int(os.environ["RANK"]) if ranks_started() > 1 else 0


class _Doing(IntEnum):
    """What a rank is about to do."""

    PASS = 0
    EXCHANGE = 1
    END = 2


class Ranks:
    """The processes of one run, as one of them sees them."""

    current: ClassVar[Ranks | None] = None
    """Those of this run; ``None`` where one process is all."""

    def __init__(self, seconds: float) -> None:
        """They meet, within so many seconds; as long they will wait for one another."""
        from torch import distributed

        limit = timedelta(seconds=seconds or LONGEST)
        self._distributed: Any = distributed
        try:
            distributed.init_process_group("gloo", timeout=limit)  # the models' own: what they send is none of ours
            self._group = distributed.new_group(backend="gloo", timeout=limit)
        except RuntimeError as error:
            raise RankGone(f"the ranks do not meet: {one_line(error)}") from error
        self.rank, self.world = distributed.get_rank(), distributed.get_world_size()

    @classmethod
    def begin(cls, seconds: float) -> Self:
        """Those of this run, from now on."""
        cls.current = found = cls(seconds)
        return found

    def __deepcopy__(self, _memo: Any) -> Self:
        """A copy of the model is run by the same processes."""
        return self

    def at_pass(self, *_: Any) -> None:
        """A forward pass begins here, and on every other rank; ``OutOfStep`` where one does something else."""
        import torch

        if not torch.compiler.is_compiling():
            self._step(_Doing.PASS)

    def exchange(self, mine: T) -> list[T]:
        """What each rank has, in their order; all ask at the same point."""
        self._step(_Doing.EXCHANGE)
        return self._gather(mine)

    def from_first(self, make: Callable[[], T]) -> T:
        """What rank 0 makes, which the others wait for; where it cannot, each raises ``RuntimeError`` with why."""
        found: Any = None
        failed = ""
        if self.rank == 0:
            try:
                found = make()
            except Exception as error:
                failed = one_line(error)
        made: T
        made, failed = self.exchange((found, failed))[0]
        if failed:
            raise RuntimeError(f"on rank 0: {failed}")
        return made

    def at_end(self, mine: T) -> list[T]:
        """How a part of a test has ended on each rank; where another one still runs the model, it is told and ends."""
        while any(each is not _Doing.END for each in self._said(_Doing.END)):
            pass
        return self._gather(mine)

    def close(self) -> None:
        """The last of them is done: whatever one of them still had to say is said."""
        type(self).current = None
        try:
            self._distributed.barrier(group=self._group)
        except RuntimeError:  # another is gone already
            return
        self._distributed.destroy_process_group()

    def _step(self, doing: _Doing) -> None:
        for rank, other in enumerate(self._said(doing)):
            if other is not doing:
                raise OutOfStep(
                    f"rank {rank} is at {other.name.lower()} where rank {self.rank} is at {doing.name.lower()}"
                )

    def _said(self, doing: _Doing) -> list[_Doing]:
        import torch

        mine = torch.tensor([int(doing)])
        found = [torch.empty_like(mine) for _ in range(self.world)]
        self._together(lambda: self._distributed.all_gather(found, mine, group=self._group))
        return [_Doing(int(each)) for each in found]

    def _gather(self, mine: T) -> list[T]:
        found: list[Any] = [None] * self.world
        self._together(lambda: self._distributed.all_gather_object(found, mine, group=self._group))
        return found

    def _together(self, act: Callable[[], object]) -> None:
        try:
            act()
        except RuntimeError as error:
            raise RankGone(f"another rank has ended, or does not answer: {one_line(error)}") from error
