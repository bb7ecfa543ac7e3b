"""Names of devices and of floating-point types, checked before a model is loaded."""

# The plugin checks its options with this module, so torch is imported only when there is one to check.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_steering.errors import SpecError

if TYPE_CHECKING:
    import torch

DTYPES = {
    "float64": "float64",
    "float32": "float32",
    "bfloat16": "bfloat16",
    "float16": "float16",
    "fp64": "float64",
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
}


def check_dtype(text: str) -> str:
    """The floating-point type that ``text`` names (``bf16`` …), as torch calls it; ``SpecError`` for any other name."""
    if text not in DTYPES:
        raise SpecError(f"{text!r} is no dtype to run a model in; give one of {', '.join(DTYPES)}")
    return DTYPES[text]


def parse_dtype(text: str) -> torch.dtype:
    """The same as torch has it."""
    name = check_dtype(text)

    import torch

    dtype: torch.dtype = getattr(torch, name)
    return dtype


def parse_device(text: str) -> torch.device:
    """The device that ``text`` names, which this machine has; ``SpecError`` otherwise."""
    import torch

    try:
        device = torch.device(text)
    except RuntimeError:
        raise SpecError(f"{text!r} is no device; give for example cpu, cuda or cuda:1") from None
    if device.type in ("cpu", "meta"):
        if device.type == "meta":
            raise SpecError("the device meta holds no weights; for shapes alone, give the model config:DIRECTORY")
        return device
    backend = getattr(torch, device.type, None)
    if backend is None or not hasattr(backend, "is_available") or not backend.is_available():
        raise SpecError(f"there is no {device.type} device here (torch {torch.__version__}); give cpu")
    count = backend.device_count()
    if device.index is not None and device.index >= count:
        last = f"the last is {device.type}:{count - 1}"
        raise SpecError(f"there is no device {text}: {last}")
    return device
