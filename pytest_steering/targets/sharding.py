"""A model that is spread over the ranks of a run: tensor parallel, or its weights in shards."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from pytest_steering.architecture.detection import detect_architecture
from pytest_steering.architecture.weights import shard_again
from pytest_steering.errors import SpecError, TargetError, one_line
from pytest_steering.targets.placing import skeleton
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.ranks import FSDP2, TENSOR, WAYS, Ranks
from pytest_steering.targets.spec import Spec, SpecKind


class Sharding:
    """How the model is spread over the ranks of this run."""

    on_cpu = True
    """All ranks are on the CPU of this machine."""

    def __init__(self, way: str) -> None:
        """``SpecError`` where this process is no rank."""
        if Ranks.current is None:
            raise SpecError(f"parallel={way!r}: this process is no rank of several; start it by torchrun")
        self.way = way
        self.ranks = Ranks.current

    def __str__(self) -> str:
        """A sentence for the report."""
        return f"spread over {self.ranks.world} ranks: {WAYS[self.way]}"

    @property
    def place(self) -> str:
        """Where the weights are, in a word."""
        return f"{self.ranks.world}×cpu:{self.way}"

    def options(self, name: str, directory: Path, *, trust_remote_code: bool) -> dict[str, Any]:
        """What ``from_pretrained`` is told."""
        if self.way != TENSOR:
            return {}
        self._need_plan(
            name, skeleton(Spec(name, SpecKind.DIRECTORY, str(directory)), trust_remote_code=trust_remote_code)
        )
        return {"tp_plan": "auto"}

    def _need_plan(self, name: str, model: nn.Module) -> None:
        if not getattr(model, "tp_plan", None):
            raise TargetError(
                f"{name}: transformers has no tensor parallel plan for {type(model).__name__}: "
                f"give --steering-parallel={FSDP2}"
            )

    def keep(self, name: str, model: nn.Module) -> nn.Module:
        """A checkpoint's model that has been loaded so is spread; ``TargetError`` where nothing of it is."""
        try:
            if self.way == FSDP2:
                mesh = init_device_mesh("cpu", (self.ranks.world,))
                for layer in detect_architecture(model).layers:
                    fully_shard(layer, mesh=mesh)
                fully_shard(model, mesh=mesh)
        except (RuntimeError, ValueError, NotImplementedError) as error:
            raise TargetError(f"{name}: FSDP2 cannot shard it: {one_line(error)}") from error
        if not any(isinstance(weight, DTensor) for weight in model.parameters()):
            raise TargetError(f"{name}: nothing of it is spread, and every rank would hold all of it")
        ranks = self.ranks

        def begin(whole: nn.Module, _args: Any) -> None:
            ranks.at_pass()
            # One rank may have kept what another has not, and would not wait for it.
            shard_again(whole.modules())

        # Before FSDP2's own, which waits for the other ranks.
        model.register_forward_pre_hook(begin, prepend=True)
        return model

    def spread(self, name: str, model: nn.Module) -> nn.Module:
        """The same of a model that was built here."""
        if self.way == TENSOR:
            self._need_plan(name, model)
            model = self._loaded_again(name, model)
        return self.keep(name, model)

    def _loaded_again(self, name: str, model: Any) -> nn.Module:
        """Transformers spreads a model as it loads it."""
        with tempfile.TemporaryDirectory() as own, quiet_transformers():
            model.save_pretrained(own)  # rank 0 alone writes anything
            directory = self.ranks.exchange(own)[0]
            try:
                found: nn.Module = type(model).from_pretrained(directory, dtype=model.dtype, tp_plan="auto")
            except Exception as error:
                raise TargetError(f"{name}: transformers cannot spread it: {one_line(error)}") from error
            self.ranks.exchange("read")
            return found.eval()
