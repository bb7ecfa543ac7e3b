"""The settings of the process that steering might leave changed, by name."""

from __future__ import annotations

import os
from typing import Any

import torch
import transformers


def process_settings() -> dict[str, Any]:
    """A snapshot: torch's gradient modes, defaults, precision and determinism, transformers' verbosity, and the
    environment."""
    return {
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's inference mode": torch.is_inference_mode_enabled(),
        "torch's anomaly mode": torch.is_anomaly_enabled(),
        "torch's autocast mode": torch.is_autocast_enabled("cpu"),
        "torch's default dtype": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "torch's number of threads": torch.get_num_threads(),
        "torch's determinism": torch.are_deterministic_algorithms_enabled(),
        "torch's matmul precision": torch.get_float32_matmul_precision(),
        "cuDNN's benchmark mode": torch.backends.cudnn.benchmark,
        "transformers' verbosity": transformers.logging.get_verbosity(),
        "the environment": dict(os.environ),
        "the working directory": os.getcwd(),
    }
