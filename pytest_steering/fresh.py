"""The same steered run in a fresh process: ``python -m pytest_steering.fresh`` reads a request and prints a digest."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pytest_steering.adapters import make_adapter
from pytest_steering.target import load_target
from pytest_steering.trial import Trial


class Digests(NamedTuple):
    """SHA-256 over the bits of logits."""

    unsteered: str
    steered: str


class FreshRun:
    """A process of its own that loads the model, steers it, and reports digests of the logits."""

    def __init__(self, **request: Any) -> None:
        """The process starts at once and works while the caller does something else."""
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "pytest_steering.fresh", json.dumps(request)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                # As many threads as here, since their number may change the last bits; and none that spins while the
                # caller works.
                "OMP_NUM_THREADS": str(torch.get_num_threads()),
                "OMP_WAIT_POLICY": "PASSIVE",
            },
        )

    def digests(self) -> Digests:
        """What the process computed, or ``RuntimeError`` with the last line that it wrote."""
        output, errors = self._process.communicate(timeout=600)
        if self._process.returncode != 0:
            lines = [line for line in errors.splitlines() if line.strip()] or ["no message"]
            raise RuntimeError(f"exit status {self._process.returncode}: {lines[-1]}")
        return Digests(*output.split()[-2:])

    def close(self) -> None:
        """The process is ended if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


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
