"""A model that accelerate has spread over devices, memory and disk, as transformers' ``device_map`` says."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_steering.errors import SpecError, TargetError, one_line
from pytest_steering.suggesting import meant
from pytest_steering.targets.devices import DISK, DeviceMap, parse_device_map
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.spec import Spec, SpecKind, sizes_of, tiny_of
from pytest_steering.targets.tiny.models import tiny_model
from pytest_steering.targets.weightless import fake_model

_SHOWN = 3


def check_placing(spec: Spec, text: str, *, trust_remote_code: bool) -> None:
    """The modules that a device map names are the model's, and all have a place; ``SpecError`` otherwise.

    Asked where the model's modules can be told without its weights; of any other it is asked when that is loaded.
    """
    if spec.kind is SpecKind.CONFIG:
        raise SpecError(f"{spec.text} has shapes and no weights to place: leave out --steering-device-map")
    places = parse_device_map(text)
    if not isinstance(places, dict) or set(places) == {""} or spec.kind not in (SpecKind.TINY, SpecKind.DIRECTORY):
        return
    try:
        model = skeleton(spec, trust_remote_code=trust_remote_code)
    except TargetError:  # it cannot be loaded either, and says why then
        return
    if amiss := next(_amiss(model, places), ""):
        raise SpecError(f"--steering-device-map: {spec.text} {amiss}")


def skeleton(spec: Spec, *, trust_remote_code: bool) -> nn.Module:
    """The modules of a small model, or of the one whose config lies in a directory; the latter without weights."""
    if spec.kind is SpecKind.TINY:
        return tiny_model(*tiny_of(spec), sizes=sizes_of(spec))
    return fake_model(spec, dtype=None, trust_remote_code=trust_remote_code)[0]


def _amiss(model: nn.Module, places: Mapping[str, str | int]) -> Iterator[str]:
    """What of a device map cannot be meant of the model."""
    names = [name for name, _ in model.named_modules()]
    for name in places.keys() - set(names):
        yield f"has no module {name!r}{meant(name, names, repr)}"
    found: dict[int, tuple[str, str | int]] = {}
    left = []
    for name, parameter in model.named_parameters(remove_duplicate=False):
        place = _place_of(name, places)
        if place is None:
            left.append(name)
            continue
        other, elsewhere = found.setdefault(id(parameter), (name, place))
        if elsewhere != place:
            yield f"shares one tensor between {other} and {name}: give both the same place"
    if left:
        shown = ", ".join(left[:_SHOWN]) + (f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else "")
        yield f'has no place for {shown}: give one to "", which is all the rest'


def _place_of(name: str, places: Mapping[str, str | int]) -> str | int | None:
    """The place of the closest module around this one that has any."""
    while name not in places:
        if not name:
            return None
        name = name.rpartition(".")[0]
    return places[name]


def _apart(model: nn.Module, places: Mapping[str, str | int]) -> dict[str, str | int]:
    """The same places without a module inside another that has one: accelerate takes the outer one for the whole."""
    inside = {name.rsplit(".", depth)[0] for name in places for depth in range(1, name.count(".") + 1)}
    inside |= {""}
    found: dict[str, str | int] = {}
    for name, module in model.named_modules():
        place = _place_of(name, places)
        if name in inside:
            found |= {
                tensor if not name else f"{name}.{tensor}": place
                for tensor, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
                if place is not None
            }
        elif name.rpartition(".")[0] in inside and place is not None:
            found[name] = place
    return found


class Placing:
    """Where each module of one model goes, and the directory for what lies on the disk: it is there as long as the
    model is."""

    def __init__(self, text: str) -> None:
        """``text`` is what ``--steering-device-map`` says."""
        self.text = text
        self.map: DeviceMap = parse_device_map(text)
        self._sentence = ""
        self._directory = tempfile.mkdtemp(prefix="pytest-steering-offloaded-")
        self._unused = weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)

    @property
    def on_cpu(self) -> bool:
        """All of the model is to lie in the CPU's memory."""
        return isinstance(self.map, dict) and set(self.map.values()) == {"cpu"}

    def options(self, name: str, directory: Path, *, trust_remote_code: bool) -> dict[str, Any]:
        """What ``from_pretrained`` is told; ``TargetError`` for a map that is of another model."""
        places = self.map
        if isinstance(places, dict) and set(places) != {""}:
            spec = Spec(name, SpecKind.DIRECTORY, str(directory))
            places = self._apart(name, skeleton(spec, trust_remote_code=trust_remote_code))
        return {"device_map": places, "offload_folder": self._directory}

    def _apart(self, name: str, model: nn.Module) -> dict[str, str | int]:
        places: Any = self.map
        if amiss := next(_amiss(model, places), ""):
            raise TargetError(f"{name}: --steering-device-map cannot be meant: it {amiss}")
        return _apart(model, places)

    def spread(self, name: str, model: nn.Module) -> nn.Module:
        """A model that was built without it, spread now; ``TargetError`` where accelerate cannot do that."""
        import accelerate  # noqa: PLC0415 (an optional package)

        places: Any = self._apart(name, model) if isinstance(self.map, dict) else None
        try:
            with quiet_transformers():
                places = places or self._inferred(accelerate, model)
                model = accelerate.dispatch_model(model, places, offload_dir=self._directory)
        except Exception as error:
            raise TargetError(f"{name}: accelerate cannot spread it: {one_line(error)}") from error
        return self.keep(name, model)

    def _inferred(self, accelerate: Any, model: nn.Module) -> dict[str, Any]:
        whole: Any = getattr(model, "_no_split_modules", None)
        most = None
        if self.map != "sequential":
            low = self.map == "balanced_low_0"
            most = accelerate.utils.get_balanced_memory(model, no_split_module_classes=whole, low_zero=low)
        found: dict[str, Any] = accelerate.infer_auto_device_map(
            model, max_memory=most, no_split_module_classes=list(whole) if whole else None
        )
        return found

    def keep(self, name: str, model: nn.Module) -> nn.Module:
        """The model, once it is spread; the directory is gone when it is."""
        self._unused.detach()
        weakref.finalize(model, shutil.rmtree, self._directory, ignore_errors=True)
        self._sentence = _told(self.text, model)
        return model

    def __str__(self) -> str:
        """A sentence for the report, of a model that is spread."""
        return self._sentence


def places_of(model: nn.Module) -> tuple[str, ...]:
    """The kinds of places where accelerate keeps the weights of a model: ``cuda``, ``cpu``, ``disk``; none where it has
    not spread it."""
    spread: Any = getattr(model, "hf_device_map", None)
    if not isinstance(spread, dict):
        return ()
    kinds = {_kind(place) for place in spread.values()}
    return tuple(sorted(kinds, key=lambda kind: (kind == DISK, kind == "cpu", kind)))


def _kind(place: Any) -> str:
    """The kind of device; a number is a device of the kind that this machine has."""
    device = getattr(torch, "accelerator", None) and torch.accelerator.current_accelerator()
    return (device.type if device else "cuda") if isinstance(place, int) else str(place).partition(":")[0]


def _told(text: str, model: nn.Module) -> str:
    """The sentence for the report: how many modules lie where, and which they are where they are few."""
    by_place: dict[str, list[str]] = {}
    for name, place in getattr(model, "hf_device_map", {}).items():
        by_place.setdefault(str(place), []).append(name or "the rest")
    said = [
        f"{', '.join(names)} on {place}" if len(names) <= _SHOWN else f"{len(names)} modules on {place}"
        for place, names in by_place.items()
    ]
    return f"spread by --steering-device-map={text}: {'; '.join(said) or 'all in one place'}"
