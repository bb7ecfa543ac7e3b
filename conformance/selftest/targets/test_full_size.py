from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor

from pytest_steering import fixtures, load_target

CONFIGS = Path(fixtures.__file__).parent / "configs"

SIZES = {
    "starcoderbase-1b": (2048, 24, 49152, 1.137),
    "starcoder2-3b": (3072, 30, 49152, 3.030),
    "starcoder2-7b": (4608, 32, 49152, 7.174),
    "starcoder2-15b": (6144, 40, 49152, 15.656),
    "qwen2.5-1.5b": (1536, 28, 151936, 1.544),
    "qwen2.5-7b": (3584, 28, 152064, 7.616),
    "qwen2.5-14b": (5120, 48, 152064, 14.770),
}


def test_every_config_is_known() -> None:
    assert {path.name for path in CONFIGS.iterdir()} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_measured_from_tensors(name: str) -> None:
    hidden_size, num_layers, vocab_size, billions = SIZES[name]
    target = load_target(f"config:{CONFIGS / name}")
    tensors = (*target.model.parameters(), *target.model.buffers())
    assert all(isinstance(tensor, FakeTensor) for tensor in tensors)
    assert round(sum(parameter.numel() for parameter in target.model.parameters()) / 1e9, 3) == billions
    assert target.notes == [f"no weights: shapes of {billions:.1f} B parameters from config.json only"]
    assert target.vocab_size == vocab_size
    architecture = target.architecture
    assert (architecture.hidden_size, architecture.num_layers) == (hidden_size, num_layers)


def test_padded_batch_runs_without_weights() -> None:
    target = load_target(f"config:{CONFIGS / 'qwen2.5-7b'}")
    assert target.fake is not None
    mask = torch.ones(3, 10, dtype=torch.long)
    mask[0, :4] = 0
    with target.fake, torch.no_grad():
        logits = target.model(input_ids=torch.ones(3, 10, dtype=torch.long), attention_mask=mask).logits
    assert tuple(logits.shape) == (3, 10, 152064)
    assert logits.dtype is torch.bfloat16


SCRIPT = """
import re, sys, time, torch, transformers
from pytest_steering import load_target
load_target("tiny:starcoder2")  # imports what there is to import
imported = time.process_time()
target = load_target(sys.argv[1])
with target.fake, torch.no_grad():
    target.model(input_ids=torch.ones(3, 10, dtype=torch.long))
# Not resource.getrusage: what the process that started this one held counts there too.
peak = int(re.search("VmHWM:\\s*([0-9]+) kB", open("/proc/self/status").read())[1])
print(peak // 1024, time.process_time() - imported)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is there on Linux alone")
def test_fifteen_billion_parameters_take_seconds_and_little_memory() -> None:
    command = [sys.executable, "-c", SCRIPT, f"config:{CONFIGS / 'starcoder2-15b'}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peak_megabytes, processor_seconds = map(float, printed.split())
    assert peak_megabytes < 1000
    assert processor_seconds < 10
