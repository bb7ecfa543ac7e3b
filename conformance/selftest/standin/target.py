"""Models of no weight that write down when they are loaded and freed."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pytest_steering.errors import ArchitectureError, TargetError


class Model:
    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.itself = self
        self.hooks: list[Callable[..., None]] = []

    def register_forward_pre_hook(self, hook: Callable[..., None], *, with_kwargs: bool) -> None:
        self.hooks.append(hook)

    def __del__(self) -> None:
        _write(f"freed {self.spec}")


class Target:
    device = "cpu"
    dtype = "torch.float32"
    fake = None
    has_weights = True
    trained = False
    tokenizer = None
    load_seconds = 0.25

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.model = Model(spec)
        self.notes: list[str] = []

    @cached_property
    def architecture(self) -> Any:
        if self.spec.startswith("tiny:headless"):
            raise ArchitectureError("nothing reaches the logits, so the decoder layers cannot be told")
        facts = {
            "layers_path": "model.layers",
            "num_layers": 4,
            "hidden_size": 8,
            "steering_layers": [1, 2, 3],
            "output_kind": "tensor",
            "notes": ["the config says 5 layers"],
        }
        return SimpleNamespace(as_json=lambda: facts, **facts)

    def find_again(self, because: str) -> None:
        """Nothing here is ever replaced."""


def load_target(
    spec: str, *, device: str | None = None, dtype: str | None = None, trust_remote_code: bool = False
) -> Target:
    _write(f"loaded {spec} {os.environ.get('PYTEST_XDIST_WORKER', 'alone')}")
    if spec.startswith("tiny:broken"):
        raise TargetError(f"{spec}: the weights end\n    in the middle")
    return Target(spec)


def _write(line: str) -> None:
    with (Path(os.environ["STANDIN_LOG"])).open("a") as log:
        log.write(line + "\n")
