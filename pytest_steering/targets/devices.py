"""Names of devices, of places for each module, and of floating-point types, checked before a model is loaded."""

# The plugin checks its options with this module, so torch is imported only when there is one to check.
# ruff: noqa: PLC0415

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pytest_steering.errors import SpecError, one_line
from pytest_steering.suggesting import meant

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


STRATEGIES = ("auto", "balanced", "balanced_low_0", "sequential")
"""Words by which accelerate places the modules itself, on what devices and room there is."""
DISK = "disk"
"""The place of weights that are read from the disk for each pass."""
DeviceMap = str | dict[str, str | int]
"""One of the strategies, or the place of each module by its dotted name; the root's name is empty."""
_FORM = 'auto, cpu, disk or a JSON object from modules to places, for example \'{"": "cpu", "lm_head": "disk"}\''


def read_device_map(text: str) -> DeviceMap:
    """What ``text`` means as transformers' ``device_map``; ``SpecError`` where it has no such form, or accelerate is
    not there to place anything. Whether this machine has the places is not asked.
    """
    if not text.lstrip().startswith(("{", "[")):
        found: DeviceMap = text if text in STRATEGIES else {"": _place(text)}
    else:
        try:
            found = json.loads(text)
        except ValueError as error:
            raise SpecError(f"--steering-device-map is no JSON: {one_line(error, kind=False)}; give {_FORM}") from None
        if not isinstance(found, dict) or not found:
            raise SpecError(f"--steering-device-map={text} places no module; give {_FORM}")
        for module, place in found.items():
            if isinstance(place, bool) or not isinstance(place, str | int):
                raise SpecError(f"--steering-device-map: {module!r} lies at {place!r}, which is no place; give {_FORM}")
            found[module] = _place(str(place))
    if find_spec("accelerate") is None:
        raise SpecError("--steering-device-map needs accelerate: pip install 'pytest-steering[device-map]'")
    return found


def parse_device_map(text: str) -> DeviceMap:
    """The same, of places that this machine has; ``SpecError`` otherwise."""
    found = read_device_map(text)
    for place in set(found.values()) if isinstance(found, dict) else ():
        if place != DISK:
            parse_device(f"cuda:{place}" if isinstance(place, int) else place)
    return found


def _place(text: str) -> str | int:
    """The number of a GPU, or the name of a place."""
    kind = text.partition(":")[0]
    if text.isdecimal():
        return int(text)
    known = ("cpu", DISK, *_ACCELERATORS)
    if kind in known and (kind == text or kind in _ACCELERATORS):
        return text
    hint = meant(text, (*STRATEGIES, *known), otherwise=f"give {_FORM}")
    raise SpecError(f"--steering-device-map: {text!r} is no place{hint}")


_ACCELERATORS = ("cuda", "mps", "xpu", "npu", "hpu", "mlu", "musa", "sdaa")
"""Kinds of devices that accelerate places weights on."""
