"""A user's own models, made in no time; each load and each end is written down beside this file."""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from pytest_steering.fixtures.anatomies import InSequential
from torch import Tensor, nn

LOG = Path(__file__).with_name("models.log")


def a() -> nn.Module:
    return _made("a")


def b() -> nn.Module:
    return _made("b")


def c() -> nn.Module:
    return _made("c")


def d() -> nn.Module:
    return _made("d")


def broken() -> nn.Module:
    _write("loaded broken")
    raise ValueError("the weights end\n    in the middle")


def headless() -> nn.Module:
    _write("loaded headless")
    return Headless()


class Headless(nn.Module):
    """A model without decoder layers."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(40, 40)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.tokens(ids)
        return found


def _made(name: str) -> nn.Module:
    _write(f"loaded {name}")
    model = InSequential()
    weakref.finalize(model, _write, f"freed {name}")
    return model


def _write(line: str) -> None:
    with LOG.open("a") as log:
        log.write(f"{line} {os.environ.get('PYTEST_XDIST_WORKER', 'alone')}\n")
