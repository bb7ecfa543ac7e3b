"""Directories that hold an adapter of PEFT: its base is named in it, and is loaded like any other checkpoint."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

from torch import nn

from pytest_steering.errors import SpecError, TargetError, one_line
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.spec import Spec, SpecKind, check_spec, parse_spec, path_of

CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"


def is_adapter(spec: Spec) -> bool:
    """The spec is a directory with an adapter and without weights of its own."""
    directory = path_of(spec.value)
    return (
        spec.kind is SpecKind.DIRECTORY
        and os.path.isfile(directory / CONFIG)
        and not any(directory.glob("model*.safetensors"))
        and not any(directory.glob("*.gguf"))
    )


def base_of(spec: Spec) -> Spec:
    """The model that the adapter was trained on, as its config names it: a Hub id, a directory or a ``tiny:`` type.

    A relative directory is looked for beside the adapter first. ``TargetError`` for one that names none, or code.
    """
    directory = path_of(spec.value)
    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TargetError(
            f"{spec.text}: {CONFIG} is not valid JSON: {one_line(error, kind=False)}; save or download it again"
        ) from None
    named = config.get("base_model_name_or_path") if isinstance(config, dict) else None
    if not isinstance(named, str) or not named.strip():
        raise TargetError(
            f"{spec.text}: {CONFIG} names no base model; write the Hub id or the directory that the adapter belongs to "
            "as its base_model_name_or_path"
        )
    beside = directory / named
    # ``os.path`` takes what cannot be a path for one that is not there; ``Path`` raises.
    base = parse_spec(str(beside) if not Path(named).is_absolute() and os.path.isdir(beside) else named)
    if base.kind is SpecKind.CALLABLE or base.kind is SpecKind.CONFIG or base.is_pattern:
        raise TargetError(
            f"{spec.text}: {CONFIG} names {named!r} as its base model, which is no model with weights; "
            "give the Hub id or the directory that the adapter belongs to"
        )
    if is_adapter(base):
        raise TargetError(f"{spec.text}: {CONFIG} names another adapter as its base model; merge that one first")
    try:
        check_spec(base)
    except SpecError as error:
        raise TargetError(f"{spec.text}: its base model cannot be loaded: {one_line(error, kind=False)}") from error
    return base


def put_on(spec: Spec, base: nn.Module, *, trust_remote_code: bool) -> nn.Module:
    """The base with the adapter of the directory loaded and active, every weight of it from the directory.

    ``TargetError`` where weights are missing, pickled, or of another shape than the base.
    """
    directory = path_of(spec.value)
    if not (directory / _WEIGHTS).is_file() and not trust_remote_code:
        pickled = (directory / "adapter_model.bin").is_file()
        reason = "its weights are pickled, and reading a pickle can run code" if pickled else f"there is no {_WEIGHTS}"
        remedy = "convert them to safetensors, or pass --steering-trust-remote-code" if pickled else "save it again"
        raise TargetError(f"{spec.text}: {reason}; {remedy}")
    from peft import PeftModel  # noqa: PLC0415 (an optional package, slow to import)

    try:
        with quiet_transformers(), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            model: nn.Module = PeftModel.from_pretrained(base, str(directory), torch_device="cpu")
    except Exception as error:
        raise TargetError(f"{spec.text}: PEFT cannot load it: {one_line(error)}") from error
    missing = next((str(one.message) for one in told if "missing adapter keys" in str(one.message)), "")
    if missing:
        raise TargetError(f"{spec.text}: {one_line(missing)}; its weights do not belong to this base model")
    return model


def note(base: Spec, model: Any) -> str:
    """What the report says of it."""
    kinds = ", ".join(sorted({str(config.peft_type.value) for config in model.peft_config.values()}))
    return f"an adapter of PEFT ({kinds}) on {base.text}"
