"""What arrives is seen, whoever adds to it and whenever; where nothing can be seen, a sentence says so."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from pytest_steering import detect_architecture, load_target
from pytest_steering.architecture.inputs import seeded_ids
from pytest_steering.architecture.observation import Trace, observe
from pytest_steering.errors import Violation
from pytest_steering.targets.tiny.models import tiny_model


@pytest.mark.parametrize("model_type", ["xlnet", "llama", "gpt2"])
@torch.no_grad()
def test_a_hook_that_is_registered_during_the_call_is_seen(model_type: str) -> None:
    # Nothing receives the output of XLNet's last layer alone, so there the watch stands on the layer itself.
    model: Any = tiny_model(model_type).eval()
    architecture = detect_architecture(model)
    layer = architecture.num_layers - 1
    decoder_layer = architecture.decoder_layers[layer]
    ids = seeded_ids(model, 2, 8)

    def added(_module: nn.Module, _args: Any, output: Any) -> Any:
        return decoder_layer.layout.write(output, decoder_layer.layout.read(output) + 1)

    def steered() -> Any:
        hook = decoder_layer.module.register_forward_hook(added)
        logits = model(input_ids=ids).logits
        hook.remove()
        return logits

    plain = observe(architecture, [layer], lambda: model(input_ids=ids).logits)
    late = observe(architecture, [layer], steered)
    assert not torch.equal(late.result, plain.result)
    assert (late.received(layer) - plain.received(layer)).sub(1).abs().max() < 1e-5
    assert not decoder_layer.module._forward_hooks
    assert not decoder_layer.module._forward_pre_hooks


@torch.no_grad()
def test_a_late_hook_on_the_next_layer_is_seen() -> None:
    model: Any = tiny_model("llama").eval()
    architecture = detect_architecture(model)
    ids = seeded_ids(model, 2, 8)

    def steered() -> Any:
        hook = architecture.layers[1].register_forward_pre_hook(lambda _module, args: (args[0] + 1, *args[1:]))
        logits = model(input_ids=ids).logits
        hook.remove()
        return logits

    plain, late = (observe(architecture, [0], run) for run in (lambda: model(input_ids=ids).logits, steered))
    assert (late.received(0) - plain.received(0)).sub(1).abs().max() < 1e-5


def test_nothing_seen_is_a_sentence() -> None:
    with pytest.raises(Violation, match="no forward pass of the model is seen"):
        Trace([]).received(0)


@torch.no_grad()
def test_a_layer_that_sends_nothing_is_named() -> None:
    model: Any = tiny_model("llama").eval()
    architecture = detect_architecture(model)
    model.model.layers[2] = copy.deepcopy(model.model.layers[2])
    ids = seeded_ids(model, 2, 8)
    trace = observe(architecture, [1, 2], lambda: model(input_ids=ids).logits)
    with pytest.raises(Violation, match="nothing is seen to arrive after layer 1"):
        trace.received(1)  # its receiver is no longer in the model
    assert 1 not in trace.passes[0].received


def test_replaced_modules_are_found_again() -> None:
    target = load_target("tiny:llama")
    old, model = target.architecture, target.model
    target.find_again("nothing happened:")
    assert target.architecture is old
    layers: Any = model.get_submodule("model.layers")
    layers[3] = copy.deepcopy(layers[3])
    target.find_again("since a layer was replaced")
    assert target.architecture is not old
    assert target.architecture.layers[3] is layers[3]
    assert any("since a layer was replaced" in note for note in target.notes)
