"""Everything of a model that steering might leave changed, by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from pytest_steering.oracle.diagnosis.causes import Cause

_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def model_state(model: nn.Module) -> dict[str, Any]:
    """A snapshot: each module's class, mode, hooks and own attributes, each parameter's identity, values and gradient
    flag, each buffer's values, and the configs."""
    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        place = name or "the root"
        found[f"the class of {place}"] = type(module)
        found[f"the training mode of {place}"] = module.training
        found[f"the attributes of {place}"] = sorted(vars(module))
        found[f"the hooks of {place}"] = {kind: list(getattr(module, kind)) for kind in _HOOKS}
        if "forward" in vars(module):
            found[f"the forward of {place}"] = vars(module)["forward"]
    for name, parameter in model.named_parameters():
        found[f"parameter {name}"] = id(parameter)
        found[f"the gradient flag of {name}"] = parameter.requires_grad, parameter.grad is None
        found[f"the values of {name}"] = _fingerprint(parameter)
    for name, buffer in model.named_buffers():
        found[f"buffer {name}"] = _fingerprint(buffer)
    for name in ("config", "generation_config"):
        config = getattr(model, name, None)
        to_dict = getattr(config, "to_dict", None)
        if callable(to_dict):
            found[f"the {name}"] = to_dict()
    return found


def _fingerprint(tensor: Tensor) -> tuple[Any, ...]:
    """Shape, dtype, device and two sums over the values: enough to see a change, cheap for many parameters."""
    values = tensor.detach()
    if not values.is_floating_point():
        values = values.double()
    return (
        tuple(tensor.shape),
        tensor.dtype,
        str(tensor.device),
        float(values.sum(dtype=values.dtype).double()),
        float(values.abs().max().double()) if values.numel() else 0.0,
    )


class Snapshot:
    """A model's modules as they are now, to be put back: hooks, parameters, their gradient flags, mode and attributes.

    Values that are changed inside a tensor are not put back; everything that is added, replaced or removed is.
    """

    def __init__(self, model: nn.Module) -> None:
        self._modules = [
            (module, {name: (value, _copied(value)) for name, value in vars(module).items()})
            for module in model.modules()
        ]
        self._flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        configs = (getattr(model, name, None) for name in ("config", "generation_config"))
        self._configs = [(config, dict(vars(config))) for config in configs if hasattr(config, "to_dict")]

    def restore(self) -> None:
        """Every module has the attributes, hooks, parameters and submodules that it had, and configs their values."""
        for module, kept in self._modules:
            current = vars(module)
            for name in current.keys() - kept.keys():
                del current[name]
            for name, (value, contents) in kept.items():
                current[name] = value
                if isinstance(value, dict) and [*map(id, value.values())] != [*map(id, contents.values())]:
                    # The same dictionary: the handle of a hook removes it from that one.
                    value.clear()
                    value.update(contents)
        for parameter, flag in self._flags:
            if parameter.requires_grad != flag:
                parameter.requires_grad_(flag)
        for config, values in self._configs:
            vars(config).clear()
            vars(config).update(values)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, dict) else value


def put_back(settings: Mapping[str, Any]) -> None:
    """What steering might have changed most easily is as in a snapshot: gradients, default dtype and threads."""
    torch.set_grad_enabled(settings["torch's gradient mode"])
    torch.set_default_dtype(settings["torch's default dtype"])
    if torch.get_num_threads() != settings["torch's number of threads"]:
        torch.set_num_threads(settings["torch's number of threads"])


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


def likely_leftover(what: str, before: Any, after: Any) -> str:
    """The bug class of an entry of ``model_state`` that changed; ``None`` stands for one that was not there."""
    if what.startswith("the hooks of") and isinstance(before, dict) and isinstance(after, dict):
        removed = any(set(ids) - set(after.get(kind, ())) for kind, ids in before.items())
        return f"{Cause.HOOKS_REMOVED if removed else Cause.HOOK_LEFT}: {what}"
    for begin, cause in (
        ("the training mode", Cause.MODE),
        ("the gradient flag", Cause.FLAGS),
        ("the attributes", Cause.ATTRIBUTE),
        ("the forward", Cause.HOOK_LEFT),
        ("the values", Cause.PARAMETERS),
        ("parameter", Cause.PARAMETERS),
        ("buffer", Cause.PARAMETERS),
        ("the config", Cause.CONFIG),
        ("the generation_config", Cause.CONFIG),
    ):
        if what.startswith(begin):
            return f"{cause}: {_which(what, before, after)}"
    return ""


def _which(what: str, before: Any, after: Any) -> str:
    """The name of what changed, and of its entries where it has some."""
    if isinstance(before, dict) and isinstance(after, dict):
        changed = [str(key) for key in {**before, **after} if before.get(key) != after.get(key)]
        return f"{', '.join(changed[:3])} of {what}"
    if isinstance(before, list) and isinstance(after, list):
        return f"{', '.join(map(str, [each for each in after if each not in before][:3]))} among {what}"
    return what
