"""The settings of the process that are the caller's, by name."""

from __future__ import annotations

import gc
import logging
import os
import random
import signal
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import transformers

_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
    "_global_module_registration_hooks",
    "_global_parameter_registration_hooks",
    "_global_buffer_registration_hooks",
)

_modules: Any = torch.nn.modules.module
_cuda: Any = torch.backends.cuda


def put_back(settings: Mapping[str, Any]) -> None:
    """What steering might have changed most easily is as in a snapshot: gradients, default dtype and threads."""
    torch.set_grad_enabled(settings["torch's gradient mode"])
    torch.set_default_dtype(settings["torch's default dtype"])
    if torch.get_num_threads() != settings["torch's number of threads"]:
        torch.set_num_threads(settings["torch's number of threads"])
    _cuda.enable_flash_sdp(settings["flash attention"])
    _cuda.enable_mem_efficient_sdp(settings["memory-efficient attention"])
    _cuda.enable_math_sdp(settings["attention by formula"])
    torch.set_flush_denormal(not settings["the handling of denormal numbers"])
    if _compile_stance() != settings["the stance of torch.compile"]:
        torch.compiler.set_stance(settings["the stance of torch.compile"])
    torch.set_printoptions(**settings["how tensors are printed"])  # type: ignore[no-untyped-call]
    for hooks, kept in zip(_GLOBAL_HOOKS, settings["the hooks on all modules"], strict=True):
        added: Any = getattr(_modules, hooks)
        for key in [key for key in added if key not in kept]:
            del added[key]
    warnings.filters[:] = settings["the warnings filters"]  # type: ignore[index]
    (gc.enable if settings["garbage collection"] else gc.disable)()
    level, logging.root.manager.disable, logging.root.handlers[:] = settings["the level of logging"]
    logging.root.setLevel(level)
    transformers.logging.set_verbosity(settings["transformers' verbosity"])


def _compile_stance() -> str:
    """What ``torch.compiler.set_stance`` was last given, for which torch has no public question."""
    loaded = sys.modules.get("torch._dynamo.eval_frame")
    return str(loaded._stance.stance) if loaded is not None else "default"


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
        "flash attention": _cuda.flash_sdp_enabled(),
        "memory-efficient attention": _cuda.mem_efficient_sdp_enabled(),
        "attention by formula": _cuda.math_sdp_enabled(),
        "TF32": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
        "the handling of denormal numbers": bool(torch.tensor([1e-40]).mul(1.0).any()),
        "the stance of torch.compile": _compile_stance(),
        "the warnings filters": list(warnings.filters),
        "the hooks on all modules": [list(getattr(_modules, hooks)) for hooks in _GLOBAL_HOOKS],
        "how tensors are printed": vars(torch._tensor_str.PRINT_OPTS).copy(),
        "garbage collection": gc.isenabled(),
        "the recursion limit": sys.getrecursionlimit(),
        "the handling of Ctrl-C": signal.getsignal(signal.SIGINT),
        "the level of logging": (logging.root.level, logging.root.manager.disable, list(logging.root.handlers)),
        "numpy's error handling": np.geterr(),
        "numpy's random state": np.random.get_state()[1].tobytes(),  # type: ignore[index]
        "Python's random state": random.getstate(),
        "transformers' verbosity": transformers.logging.get_verbosity(),
        "the environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "the working directory": os.getcwd(),
    }
