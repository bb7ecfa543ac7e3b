"""A whole experiment in a second or two: a random model that is asked about four short pairs."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import torch

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
