"""A full-size model from its config.json alone: every shape is real, no weight exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pytest_steering.errors import TargetError, one_line
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.spec import Spec

_ATTENTION = None if int(transformers.__version__.split(".")[0]) >= 5 else "eager"
"""transformers 4 looks at the mask's values to choose an attention kernel, and here there are none."""


def fake_model(
    spec: Spec, *, dtype: torch.dtype | None, trust_remote_code: bool
) -> tuple[nn.Module, FakeTensorMode, str]:
    """The model of ``config:PATH`` with fake parameters, the mode to run it under, and a note for the report.

    Parameters and buffers have the shape and dtype of the real ones and take no memory. Inputs may be real.
    """
    path = Path(spec.value).expanduser()
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    try:
        with quiet_transformers():
            config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
            auto: Any = auto_class(config)
            with mode:
                model = auto.from_config(
                    config,
                    dtype=dtype or config_dtype(config),
                    attn_implementation=_ATTENTION,
                    trust_remote_code=trust_remote_code,
                )
    except Exception as error:
        raise TargetError(f"{spec.text}: this config builds no model: {one_line(error)}") from error
    count = sum(parameter.numel() for parameter in model.parameters())
    return model.eval(), mode, f"no weights: shapes of {count / 1e9:.1f} B parameters from config.json only"


def auto_class(config: Any) -> Any:
    """The transformers class that builds a language model of this config: causal, or image-text-to-text."""
    causal = transformers.AutoModelForCausalLM
    if "AutoModelForCausalLM" in (getattr(config, "auto_map", None) or {}):
        return causal
    if type(config) not in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        if type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            return transformers.AutoModelForImageTextToText
        raise ValueError(f"model type {config.model_type!r} is no causal language model")
    return causal


def config_dtype(config: Any) -> torch.dtype:
    """The dtype that the config names, or float32."""
    return dtype_named(getattr(config, "dtype", None) or getattr(config, "torch_dtype", None)) or torch.float32


def dtype_named(dtype: Any) -> torch.dtype | None:
    """What a config says, a dtype or its name, as a dtype; ``None`` where it says neither."""
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype, None)
    return dtype if isinstance(dtype, torch.dtype) else None
