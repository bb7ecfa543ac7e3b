"""The same steered run in a process that shares nothing with this one but its environment.

``python -m pytest_steering.suite.fresh_process REQUEST`` loads the model, steers it and prints digests of the logits.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from functools import partial
from importlib.machinery import PathFinder
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pytest_steering.adapters.registry import make_adapter
from pytest_steering.errors import Violation
from pytest_steering.importing import path_with_here_last
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.harness import Harness
from pytest_steering.oracle.model_state import classes
from pytest_steering.oracle.process_settings import process_settings
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.suite.trained import Behaviour
from pytest_steering.targets.devices import parse_dtype
from pytest_steering.targets.target import load_target


class Digests(NamedTuple):
    """SHA-256 over the bits of logits, and what a trained direction does."""

    unsteered: str
    steered: str
    left: tuple[str, ...] = ()
    """What is another since the first block of the process: settings, and methods of the model's classes."""
    effect: str = ""
    """How far the trained direction of a model's behaviour moves its answers, in nats and to the last bit; empty where
    the model has none."""


BOOT = """
import json, runpy, sys
sys.path[:] = json.loads(sys.argv.pop(1))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
"""A module is run that is looked for where this process looks."""


class FreshProcess:
    """``python -m module arguments…``, which works while the caller does something else."""

    def __init__(self, module: str, *arguments: str) -> None:
        """The process starts at once."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-c", BOOT, json.dumps(path_with_here_last()), module, *arguments],
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

    def output(self, *, seconds: float = 600) -> str:
        """What the process printed once it has ended.

        Raises ``RuntimeError`` with the last line of its errors, or when it has not ended after ``seconds``.
        """
        try:
            output, errors = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.close()
            raise RuntimeError(f"it has not ended after {seconds:g} s") from None
        if self._process.returncode != 0:
            lines = [line for line in errors.splitlines() if line.strip()] or ["no message"]
            raise RuntimeError(f"exit status {self._process.returncode}: {lines[-1]}")
        return output

    @property
    def ended(self) -> bool:
        """True when it runs no more."""
        return self._process.poll() is not None

    def close(self) -> None:
        """The process is ended if it still runs."""
        if not self.ended:
            self._process.kill()
        self._process.communicate()


def importable(name: str, factory: Any) -> str:
    """``module:attribute`` by which another process finds an adapter's factory; empty where there is none."""
    if ":" in name or factory is None:
        return name
    module, qualified = getattr(factory, "__module__", ""), getattr(factory, "__qualname__", "")
    found: Any = sys.modules.get(module)
    for part in qualified.split("."):
        found = getattr(found, part, None)
    top = str(module).partition(".")[0]
    return f"{module}:{qualified}" if found is factory and PathFinder.find_spec(top, path_with_here_last()) else ""


class FreshRun(FreshProcess):
    """A process of its own that loads the model, steers it, and reports digests of the logits."""

    def __init__(self, **request: Any) -> None:
        """``request`` is what ``main`` reads."""
        default = str(torch.get_default_dtype()).removeprefix("torch.")
        super().__init__("pytest_steering.suite.fresh_process", json.dumps({**request, "default_dtype": default}))

    def digests(self) -> Digests:
        """What the process computed, or ``RuntimeError`` with the last line that it wrote."""
        found = json.loads(self.output().splitlines()[-1])
        return Digests(**{**found, "left": tuple(found["left"])})


def reported(run: FreshRun | str) -> Digests:
    """What a fresh process computed; not applicable for a reason why there is none, ``Violation`` where it fails."""
    if isinstance(run, str):
        not_applicable(run)
    try:
        return run.digests()
    except RuntimeError as error:
        raise Violation(f"the fresh process fails: {error}") from error


def digests(harness: Harness) -> Digests:
    """The digests of the harness's own batch, unsteered and steered by its own vector."""
    inputs = harness.prompts.batch()
    plan = harness.plans.plan(harness.plans.layers("middle")[:1])
    return Digests(_digest(harness.unsteered.run(inputs).result), _digest(harness.steered(plan, inputs).result))


def _digest(logits: Tensor) -> str:
    return hashlib.sha256(logits.detach().cpu().double().numpy().tobytes()).hexdigest()


def _effect(harness: Harness) -> str:
    """The small measurement: a direction is trained from a few pairs, and a few others are asked about under it."""
    behaviour = Behaviour(harness)
    if behaviour.lacking:
        return ""
    with harness.steering(SteeringPlan(behaviour.direction)) as steered, harness.running():
        return behaviour.effect(steered).hex()


def main(arguments: list[str]) -> None:
    """The request is one JSON argument: ``spec``, ``adapter`` and the options of ``load_target``."""
    request = json.loads(arguments[0])
    torch.set_default_dtype(parse_dtype(request.pop("default_dtype")))
    build = partial(make_adapter, request.pop("adapter"))
    target = load_target(request.pop("spec"), **request)
    harness = Harness(target, build(target.model, target.architecture), build)
    # What the model does at its first call is its own.
    harness.unsteered.run(harness.prompts.batch())
    methods, settings = classes(harness.model), process_settings()
    found = digests(harness)
    now, after = classes(harness.model), process_settings()
    found = found._replace(
        left=(
            *(name for name, value in settings.items() if after[name] != value),
            *(name for name in methods | now if methods.get(name) is not now.get(name)),
        )
    )
    if harness.target.trained:
        found = found._replace(effect=_effect(harness))
    sys.stdout.write(f"\n{json.dumps(found._asdict())}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
