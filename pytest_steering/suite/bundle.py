"""A failure in a folder: inputs, plan, expected and found tensors, versions, and a script that shows it elsewhere."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save, save_model
from torch import Tensor

from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.adapters.registry import GROUP
from pytest_steering.architecture.residual import logits_of
from pytest_steering.errors import one_line
from pytest_steering.oracle import tolerance
from pytest_steering.oracle.generation_settings import own_settings
from pytest_steering.oracle.harness import Harness, Ran
from pytest_steering.oracle.reference import deltas_of, reference
from pytest_steering.suite import stand_in
from pytest_steering.suite.fresh_process import importable
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.spec import SpecKind, parse_spec

MOST_BYTES = 64_000_000
"""Weights up to this size lie in the bundle."""
PACKAGES = ("pytest-steering", "pytest", "torch", "transformers", "safetensors", "tokenizers")
NOT_SHOWN = "no single steered run in a fresh block shows it: see how to repeat it in facts.json"


@dataclass(frozen=True)
class Shown:
    """A run that differs under the adapter, made anew, from what the reference implementation makes of it."""

    ran: Ran
    given: dict[str, Tensor]
    options: dict[str, Any]
    expected: dict[str, Tensor]
    found: dict[str, Tensor]
    allowed: dict[str, float]


def write_bundle(
    directory: Path, harness: Harness, adapter: str, provided: Any, facts: Mapping[str, Any], program: str = ""
) -> Path:
    """The folder of one failure, below ``directory``: whole, or not there.

    ``adapter`` is the name under which it was asked for and ``provided`` its factory where a hook made it. ``facts``
    go into ``facts.json``. ``OSError`` where it cannot be written.
    """
    harness.restore()
    place = directory / _name(facts)
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".", dir=directory))
    try:
        said = dict(facts)
        factory = _importable(adapter, provided)
        shown = next(_shown(harness), None) if factory and harness.target.has_weights else None
        if shown is None:
            said["script"] = (
                NOT_SHOWN if factory else f"the adapter {adapter} comes from a hook: no script can import it"
            )
        else:
            try:
                _write_run(unfinished, harness, factory, shown, said)
            except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
                said["script"] = f"there is none: {one_line(error)}"
                (unfinished / "show.py").unlink(missing_ok=True)
        if program:
            (unfinished / "program.py").write_text(program + "\n", encoding="utf-8")
            said["program"] = "program.py is the shortest program that shows it; it needs pytest-steering"
        said["versions"] = {"python": platform.python_version(), **dict(_versions())}
        text = json.dumps(said, indent=2, ensure_ascii=False) + "\n"
        (unfinished / "facts.json").write_text(text, encoding="utf-8")
        unfinished.chmod(0o755)
        shutil.rmtree(place, ignore_errors=True)
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        harness.restore()
    return place


def _name(facts: Mapping[str, Any]) -> str:
    words = re.sub(r"[^A-Za-z0-9.]+", "-", f"{facts['requirement']} {facts['spec']} {facts['adapter']}").strip("-.")
    return f"{words[:80]}-{hashlib.sha256(facts['nodeid'].encode()).hexdigest()[:6]}"


def _versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def _importable(adapter: str, provided: Any) -> str:
    if ":" in adapter or provided is not None:
        return importable(adapter, provided)
    return next((point.value for point in entry_points(group=GROUP) if point.name == adapter), "")


# Which run shows it


def _shown(harness: Harness) -> Iterator[Shown]:
    """The runs of the requirement that are wrong by themselves, and right under the built-in adapter."""
    tried: set[int] = set()
    for ran in list(harness.ran):
        if id(ran.plan) in tried:
            continue
        tried.add(id(ran.plan))
        with suppress(Exception):
            shown = _compared(harness, ran)
            if shown is not None:
                yield shown


def _compared(harness: Harness, ran: Ran) -> Shown | None:
    given, options = _parted(harness, ran)
    expected = _expected(harness, ran, given, options)
    dtype = harness.dtype_of(expected["logits"])
    allowed = {
        name: tolerance.rounding(tensor, dtype=dtype) if tensor.is_floating_point() else 0.0
        for name, tensor in expected.items()
    }

    def steered(adapter: Any) -> dict[str, Tensor]:
        harness.restore()
        with harness.running(), own_settings(harness.model):
            with adapter.steer(ran.plan) as call:
                found = _run(call, ran, given, options)
            return found if ran.options is not None else {**found, "after": _logits(harness.model, given, options)}

    found = steered(harness.anew().adapter)
    right = steered(HooksAdapter(harness.model, harness.architecture))
    if _differs(right, expected, allowed) or not _differs(found, expected, allowed):
        return None
    return Shown(ran, given, options, expected, found, allowed)


def _parted(harness: Harness, ran: Ran) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a call, and its other arguments."""
    given = harness.unsteered.given(ran.inputs) if ran.options is None else dict(ran.inputs)
    if ran.options is None:
        options: dict[str, Any] = {}
    else:
        new = harness.workload.new_tokens
        plain = {"do_sample": False, "max_new_tokens": new, "min_new_tokens": new}
        options = {**plain, "pad_token_id": harness.target.pad_token_id, **ran.options}
    options |= {name: value for name, value in given.items() if not isinstance(value, Tensor)}
    json.dumps(options)
    return {name: value for name, value in given.items() if isinstance(value, Tensor)}, options


def _run(call: Any, ran: Ran, given: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Tensor]:
    if ran.options is None:
        return {"logits": _logits(call, given, options)}
    made = call.generate(**given, **options, return_dict_in_generate=True, output_logits=True)
    return {"logits": torch.stack(made.logits, dim=1), "sequences": made.sequences}


def _logits(call: Any, given: Mapping[str, Tensor], options: Mapping[str, Any]) -> Tensor:
    return logits_of(call(**given, **options)).detach().clone()


def _expected(harness: Harness, ran: Ran, given: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Tensor]:
    total = harness.prompts.ids(ran.inputs).shape[1] + (options["max_new_tokens"] if ran.options is not None else 0)
    where = harness.prompts.steered_tokens(ran.inputs, ran.plan.positions, total=total)
    with harness.running(), own_settings(harness.model), reference(harness.architecture, deltas_of(ran.plan), where):
        expected = _run(harness.model, ran, given, options)
    return expected if ran.options is not None else {**expected, "after": harness.unsteered.run(ran.inputs).result}


def _differs(one: Mapping[str, Tensor], other: Mapping[str, Tensor], allowed: Mapping[str, float]) -> bool:
    return any(
        one[name].shape != other[name].shape or tolerance.furthest(one[name], other[name]) > allowed[name]
        for name in other
    )


# The files


def _write_run(place: Path, harness: Harness, factory: str, shown: Shown, facts: dict[str, Any]) -> None:
    plan = shown.ran.plan
    _save(place / "inputs.safetensors", shown.given)
    _save(place / "plan.safetensors", {str(layer): vector for layer, vector in plan.vectors.items()})
    _save(place / "expected.safetensors", shown.expected)
    _save(place / "found.safetensors", shown.found)
    shutil.copyfile(stand_in.__file__, place / "stand_in.py")
    facts["plan"] = {"layers": sorted(plan.vectors), "scale": plan.scale, "positions": str(plan.positions)}
    facts["seeds"] = "none is needed: tokens and vectors lie here as they were, and nothing is sampled"
    facts["allowed"] = shown.allowed
    facts["script"] = "show.py shows it: it needs torch, transformers, safetensors and the adapter's own package"
    (place / "show.py").write_text(_script(place, harness, factory, shown, facts), encoding="utf-8")


def _save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    path.write_bytes(save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}))


def _script(place: Path, harness: Harness, factory: str, shown: Shown, facts: Mapping[str, Any]) -> str:
    module, _, attribute = factory.partition(":")
    architecture, plan, device = harness.architecture, shown.ran.plan, harness.target.device
    known = {
        "names": [layer.name for layer in architecture.decoder_layers],
        "layers_path": architecture.layers_path,
        "hidden_size": architecture.hidden_size,
        "steering_layers": architecture.steering_layers,
        "output_kind": architecture.output_kind,
    }
    arguments = ", ".join(["**inputs", *(f"{name}={value!r}" for name, value in shown.options.items())])
    if shown.ran.options is None:
        run = [f"    out = steered({arguments})", '    found = {"logits": getattr(out, "logits", out)}']
        after = [
            "with torch.no_grad():",
            f"    out = model({arguments})",
            '    found["after"] = getattr(out, "logits", out)',
        ]
    else:
        after = []
        run = [
            f"    out = steered.generate({arguments}, return_dict_in_generate=True, output_logits=True)",
            '    found = {"logits": torch.stack(out.logits, 1), "sequences": out.sequences}',
        ]
    what = " ".join(str(facts["sentence"]).replace("\\", "/").replace('"', "'").split())
    model = _model(place, harness)
    loads = ", load_model" if any("load_model(" in line for line in model) else ""
    return "\n".join(
        [
            f'"""{facts["requirement"]}: {what}. It needs the adapter on PYTHONPATH."""',
            "import os",
            "import torch",
            "import transformers",
            f"from safetensors.torch import load_file{loads}",
            "from stand_in import Architecture, Positions, SteeringPlan",
            f"from {module} import {attribute.partition('.')[0]}",
            "",
            "os.chdir(os.path.dirname(os.path.abspath(__file__)))",
            *model,
            f"inputs, vectors, expected = (load_file(f'{{name}}.safetensors', device={str(device)!r}) for name in "
            '("inputs", "plan", "expected"))',
            "plan = SteeringPlan({int(layer): vector for layer, vector in vectors.items()}, "
            f"{plan.scale!r}, Positions.{plan.positions.name})",
            f"architecture = Architecture(model, **{known!r})",
            f"with {attribute}(model, architecture).steer(plan) as steered, torch.no_grad():",
            *run,
            *after,
            f"for name, allowed in {shown.allowed!r}.items():",
            "    torch.testing.assert_close(found[name], expected[name], rtol=0, atol=allowed, equal_nan=True)",
            "",
        ]
    )


def _model(place: Path, harness: Harness) -> list[str]:
    """The lines that load the model; its weights lie in the bundle where they are small."""
    model, spec = harness.model, parse_spec(harness.target.spec)
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    small = size <= MOST_BYTES
    spread: Any = getattr(model, "hf_device_map", None) or {}
    moved = ".eval()" if spread else f'.eval().to("{harness.target.device}")'
    if spec.kind is SpecKind.CALLABLE:
        module, _, attribute = spec.value.partition(":")
        lines = [
            f"from {module} import {attribute.partition('.')[0]}",
            f"model = {attribute}()",
            f"model = (model[0] if isinstance(model, tuple) else model){moved}",
        ]
        if small:
            save_model(model, str(place / "model.safetensors"))
            lines.append('load_model(model, "model.safetensors")')
        return lines
    name = type(model).__name__
    loader = name if hasattr(transformers, name) else "AutoModelForCausalLM"
    if small:
        saved: Any = model
        with quiet_transformers():
            saved.save_pretrained(place / "model")
        source = "model"
    else:
        source = str(Path(spec.value).resolve()) if spec.kind is SpecKind.DIRECTORY else spec.value
        if spec.kind is SpecKind.TINY:
            raise ValueError(
                f"{spec} has {size / 1e6:.0f} MB of weights, and none but pytest-steering makes them again"
            )
    dtype = str(harness.target.dtype)
    places = {name: place if isinstance(place, int) else str(place) for name, place in spread.items()}
    how = f'dtype={dtype}, device_map={places!r}, offload_folder="offloaded"' if spread else f"dtype={dtype}"
    lines = [f"model = transformers.{loader}.from_pretrained({source!r}, {how}){moved}"]
    if hasattr(model, "generation_config"):
        lines.append("model.generation_config = transformers.GenerationConfig()")
    return lines
