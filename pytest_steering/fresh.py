"""The same steered run in a fresh process: ``python -m pytest_steering.fresh`` reads a request and prints a digest."""

from __future__ import annotations

import hashlib
import json
import sys
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor

from pytest_steering.adapters import make_adapter
from pytest_steering.process import FreshProcess
from pytest_steering.target import load_target
from pytest_steering.trial import Trial


class Digests(NamedTuple):
    """SHA-256 over the bits of logits."""

    unsteered: str
    steered: str


class FreshRun(FreshProcess):
    """A process of its own that loads the model, steers it, and reports digests of the logits."""

    def __init__(self, **request: Any) -> None:
        """``request`` is what ``main`` reads."""
        super().__init__("pytest_steering.fresh", json.dumps(request))

    def digests(self) -> Digests:
        """What the process computed, or ``RuntimeError`` with the last line that it wrote."""
        return Digests(*self.output().split()[-2:])


def digests(trial: Trial) -> Digests:
    """The digests of the trial's own batch, unsteered and steered by its own vector."""
    inputs = trial.prompts.batch()
    plan = trial.plan(trial.layers("middle")[:1])
    return Digests(_digest(trial.plain(inputs).result), _digest(trial.steered(plan, inputs).result))


def _digest(logits: Tensor) -> str:
    return hashlib.sha256(logits.detach().cpu().double().numpy().tobytes()).hexdigest()


def main(arguments: list[str]) -> None:
    """The request is one JSON argument: ``spec``, ``adapter`` and the options of ``load_target``."""
    request = json.loads(arguments[0])
    build = partial(make_adapter, request.pop("adapter"))
    target = load_target(request.pop("spec"), **request)
    trial = Trial(target, build(target.model, target.architecture), build)
    sys.stdout.write(" ".join(digests(trial)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
