"""A whole experiment in a second or two: a random model that is asked about four short pairs."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import torch

from conformance.selftest.forking.interpreter import interpreter
from pytest_steering.evaluation import UniversalSteeringConfig, UniversalSteeringExperiment
from pytest_steering.evaluation.experiment import Finished

SCENARIOS = 3


def plant_pairs(root: Path, *, scenarios: int = SCENARIOS) -> Path:
    """A tree of the layout of SecLLMHolmes with a few short pairs of two weaknesses."""
    for cwe, ending in (("CWE-89", "py"), ("CWE-476", "c")):
        crafted = root / "datasets" / "hand-crafted" / "dataset" / cwe
        shown = root / "datasets" / "few-shot" / "examples"
        for directory in (crafted, shown):
            directory.mkdir(parents=True, exist_ok=True)
        for number in range(1, scenarios + 1):
            (crafted / f"{number}.{ending}").write_text(f"use({'x' * number})\n")
            (crafted / f"p_{number}.{ending}").write_text(f"check({'x' * number})\n")
        (shown / f"{cwe.lower()}.{ending}").write_text("use(y)\n")
        (shown / f"{cwe.lower()}-p.{ending}").write_text("check(y)\n")
    return root


def small_config(data: Path, output: Path, **changes: Any) -> UniversalSteeringConfig:
    """An experiment on a tiny random model with everything in it, and little of each."""
    settings: dict[str, Any] = {
        "model_name": "tiny:llama",
        "data": str(data),
        "output_dir": str(output),
        "doses": (0.0, 0.1, 0.25),
        "random_directions": 2,
        "max_new_tokens": 2,
        "max_samples_per_cwe": 2,
        "cwes": ("CWE-89",),
        "pictures": False,
    }
    return UniversalSteeringConfig(**(settings | changes))


@functools.cache
def finished_study() -> tuple[Path, Path, Finished]:
    """The data, the output directory and what was found, run once for all tests: in one thread, as its copies are."""
    root = Path(tempfile.mkdtemp(prefix="small-study-"))
    data = plant_pairs(root / "data")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads add in another order
    try:
        finished = UniversalSteeringExperiment(small_config(data, root / "out")).run()
    finally:
        torch.set_num_threads(threads)
    return data, root / "out", finished


def options(data: Path, out: Path) -> list[str]:
    """The small experiment as it is asked for on the command line."""
    settings = "--model tiny:llama --doses 0,0.1,0.25 --random-directions 2 --max-new-tokens 2 --cwes CWE-89"
    return ["experiment", *settings.split(), "--max-samples-per-cwe", "2", "--data", str(data), "--output", str(out)]


# Shells start what runs in the background with SIGINT ignored, and a child inherits that from the tests.
_COMMAND = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("pytest_steering", run_name="__main__")
"""


def fresh_experiment(data: Path, out: Path, *, executable: str | None = None) -> subprocess.Popen[str]:
    """The small experiment in a process of its own, which has imported torch already unless another is named."""
    arguments = [executable or interpreter(), "-c", _COMMAND, *options(data, out), "--quiet", "--no-pictures"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def first_difference(one: Any, other: Any, path: str = "") -> str:
    """Where two documents differ first, as ``pooled.doses.1.shift: 1.2 and 1.3``; empty where they are equal."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs: list[tuple[str, Any, Any]] = [(str(name), one[name], other[name]) for name in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(index), left, right) for index, (left, right) in enumerate(zip(one, other, strict=True))]
    else:
        return "" if one == other else f"{path}: {json.dumps(one)[:60]} and {json.dumps(other)[:60]}"
    inside = (first_difference(left, right, f"{path}.{name}".lstrip(".")) for name, left, right in pairs)
    return next(filter(None, inside), "")
