"""Models as people have them: a right adapter conforms on each, and what changes of one is seen wherever it lies."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_steering.fixtures.kinds import placed, quantised
from torch import nn

from conformance.selftest.desk import Desk
from conformance.selftest.verdicts_of import verdicts
from pytest_steering.architecture.detection import detect_architecture
from pytest_steering.architecture.weights import offloaded
from pytest_steering.errors import TargetError
from pytest_steering.oracle.loaded import Loaded
from pytest_steering.oracle.model_state import Kind, changed, model_state
from pytest_steering.scenarios.changing import changeable
from pytest_steering.targets.target import Target
from pytest_steering.targets.tiny.models import tiny_model

KINDS = "pytest_steering.fixtures.kinds"
CHOSEN = (
    "layers_found or exact_delta or model_left_alone or every_pass or padded_equals or two_models or clean_after_exit "
    "or same_twice or nesting or seed_dose or making or batch_equals or detection_repeats or changed_inside "
    "or arguments or states"
)
PACKAGES = {
    "peft:": "peft",
    "compressed:": "compressed_tensors",
    "quantised:torchao": "torchao",
    "quantised:bitsandbytes": "bitsandbytes",
    "quantised:quanto": "optimum",
    "quantised:hqq": "hqq",
    "placed:offloaded": "accelerate",
    "placed:dispatched": "accelerate",
}
"""What the models whose names begin so are made with."""

PLAIN = ("quantised:buffers", "quantised:all_buffers", "quantised:gptq", "quantised:inference_only",
         "quantised:float8", "quantised:dynamic",
         "placed:data_parallel", "placed:sharded", "placed:float_head", "placed:patched_layers",
         "placed:no_tokenizer_fits", "changing:spectral_norm", "changing:expert_load",
         "changing:made_in_inference_mode", "changing:shows_all")  # fmt: skip
MADE = ("peft:active", "peft:several", "peft:disabled", "peft:merged", "peft:merged_in_place", "peft:injected",
        "peft:dora", "peft:half", "peft:adalora", "peft:ia3", "peft:prompt_tuning", "peft:prefix_tuning",
        "peft:prompt_tuning_gpt2", "peft:p_tuning", "peft:context_aware", "peft:cartridge",
        "peft:prompt_tuning_beside_lora", "peft:prompt_tuning_around_lora",
        "quantised:torchao_int8", "quantised:torchao_int8_everywhere", "quantised:torchao_float8",
        "quantised:torchao_dynamic", "quantised:bitsandbytes_int8", "quantised:bitsandbytes_nf4", "quantised:quanto",
        "quantised:hqq", "compressed:rounded", "placed:offloaded_to_cpu", "placed:offloaded_to_disk",
        "placed:dispatched")  # fmt: skip


UNSEEN = ("placed:data_parallel",)
"""Those that have no ``generate``: its passes are not applicable."""


def needs(kind: str) -> None:
    """The package that the model is made with is installed, or the test is skipped and says how to get it."""
    for begins, package in PACKAGES.items():
        if kind.startswith(begins) and find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'pytest-steering[models]'")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*PLAIN, *MADE])
def test_a_right_adapter_conforms(kind: str, tmp_path: Path) -> None:
    needs(kind)
    spec = f"{KINDS}.{kind}"
    found = verdicts(tmp_path / "report.json", f"--steering-model={spec}", "-k", CHOSEN)
    row = found[f"{spec} hooks"]
    assert (row["failed"], row["verdict"]) == (set(), "conforms")
    passed = {entry["id"] for entry in row["requirements"] if entry["outcome"] == "passed"}
    assert {"layers-found", "exact-delta", "model-left-alone"} <= passed
    assert ("every-pass" in passed) == (kind not in UNSEEN)


def test_a_model_that_refuses_training_mode_is_no_fault_of_an_adapter(desk: Desk) -> None:
    named = ("training", "states", "detection_repeats", "left_alone", "making", "changed_inside", "session")
    asked = ("-k", " or ".join(named), "--steering-report=r.json")
    result = desk.run(f"--steering-model={KINDS}.quantised:inference_only", *asked)
    assert result.ret == 0, result.stdout.str()
    rows = {entry["id"]: entry for entry in desk.report("r.json")["models"][0]["requirements"]}
    assert rows["training-mode"]["outcome"] == "not_applicable"
    assert "the model has no training mode: NotImplementedError" in rows["training-mode"]["reason"]
    assert {rows[name]["outcome"] for name in ("detection-repeats", "model-left-alone", "states")} == {"passed"}


COMPILED = """
from pytest_steering.targets.tiny.models import tiny_model


def refuses(*_):
    raise RuntimeError("this is compiled")


def whole():
    model = tiny_model("llama")
    model.compile(backend=refuses)
    return model


def layers():
    model = tiny_model("llama")
    for layer in model.model.layers:
        layer.compile(backend=refuses)
    return model
"""


@pytest.mark.parametrize("compiled", ["whole", "layers"])
def test_nothing_is_compiled_of_a_compiled_model(compiled: str, desk: Desk) -> None:
    """To compile it would take minutes, and hooks would be unrolled."""
    desk.write(compiled=COMPILED)
    asked = ("--steering-profile=core",) if compiled == "whole" else ("-k", "gradients or trained or vectors or chain")
    result = desk.run(f"--steering-model=compiled:{compiled}", *asked)
    assert result.ret == 0, result.stdout.str()


@pytest.mark.parametrize(
    "make", [quantised.buffers, quantised.all_buffers, quantised.gptq, quantised.float8, quantised.dynamic]
)
def test_layers_whose_weights_are_no_parameters_are_layers(make: Any) -> None:
    found = detect_architecture(make())
    assert (found.layers_path, found.num_layers, found.hidden_size) == ("model.layers", 4, 32)


def _changes(make: Any, tensor: Any) -> list[str]:
    model = make()
    before = model_state(model)
    with torch.no_grad():
        tensor(model).view(torch.uint8).flatten()[:1] ^= 1
    return [str(piece) for piece in changed(before, model_state(model))]


def test_one_bit_of_a_weight_is_seen_in_any_dtype() -> None:
    def weight(model: Any) -> Any:
        return model.model.layers[0].mlp.up_proj.weight

    name = "model.layers.0.mlp.up_proj"
    assert _changes(quantised.float8, weight) == [f"{Kind.VALUES} {name}.weight"]
    assert _changes(placed.float16, weight) == [f"{Kind.VALUES} {name}.weight"]
    packed = _changes(quantised.buffers, lambda model: model.model.layers[0].mlp.up_proj.qweight)
    assert packed == [f"{Kind.BUFFER} {name}.qweight"]


def test_weights_packed_as_gptq_has_them_compute_what_they_stand_for() -> None:
    linear = nn.Linear(32, 48)
    inputs = torch.randn(3, 32)
    most = float(linear.weight.detach().abs().max()) / 7
    with torch.no_grad():
        error = (quantised.GptqLinear(linear)(inputs) - linear(inputs)).abs().max()
    assert float(error) < most * float(inputs.abs().sum(1).max())


class Refusing(torch.Tensor):
    """A quantised weight as a library has it: it is seen as floats, and takes part in products alone."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.mul_:
            raise NotImplementedError("no such operator on quantised numbers")
        return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]


def test_weights_that_cannot_be_changed_in_place_are_no_reason_to_fail() -> None:
    model: Any = tiny_model("llama")
    plain = len(changeable(model))
    weight = model.model.layers[1].mlp.up_proj.weight
    model.model.layers[1].mlp.up_proj.weight = nn.Parameter(weight.detach().as_subclass(Refusing))
    assert len(changeable(model)) == plain - 1


def test_weights_that_are_offloaded_are_compared_where_they_lie() -> None:
    needs("placed:offloaded")
    model = placed.offloaded_to_cpu()
    inputs = torch.ones(1, 3, dtype=torch.long)
    before = model_state(model)
    model(inputs)
    assert changed(before, model_state(model)) == []
    module = model.model.layers[0].mlp.up_proj
    kept = offloaded(module)
    assert kept is not None
    kept["weight"].add_(1)
    assert [str(piece) for piece in changed(before, model_state(model))] == [
        f"{Kind.VALUES} model.layers.0.mlp.up_proj.weight"
    ]


class Counting(nn.Module):
    """Counts how often it was called, as some models do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner: Any = tiny_model("llama")
        self.called = 0

    def forward(self, input_ids: Any) -> Any:
        self.called += 1
        return self.inner(input_ids)


def test_what_a_model_changes_by_itself_is_measured_on_it_and_no_more() -> None:
    loaded = Loaded.of(Target("counting", Counting()))
    assert {(str(piece), entry) for piece, entry in loaded.unsteered.changes} == {
        ("the attributes of the root", "called")
    }
    assert loaded.changes() == ()
    inner: Any = loaded.target.model.inner
    inner.config.use_cache = not inner.config.use_cache
    inner.train()
    assert f"{Kind.MODE} inner" in {str(piece) for piece in loaded.changes()}


def test_a_model_that_computes_nan_is_an_error_with_a_truthful_remedy() -> None:
    model: Any = tiny_model("llama")
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = torch.nan
    with pytest.raises(TargetError, match=r"^it: model.layers.1.mlp.up_proj.weight holds 1 NaN values of 2048, so "):
        Loaded.of(Target("it", model))
    model = tiny_model("llama").to(torch.float16)
    model.model.layers[1].mlp.up_proj.weight.data.mul_(6e4)
    with pytest.raises(TargetError, match=r"computes NaN in torch.float16; run it in a wider dtype"):
        Loaded.of(Target("it", model))


def test_a_model_that_cannot_be_copied_says_why() -> None:
    model: Any = tiny_model("llama")
    assert Loaded.of(Target("plain", model)).cannot_copy() == ""
    model.lock = threading.Lock()
    reason = Loaded.of(Target("locked", model)).cannot_copy()
    assert reason.startswith("the unsteered model cannot be copied: TypeError: cannot pickle '_thread.lock'")
