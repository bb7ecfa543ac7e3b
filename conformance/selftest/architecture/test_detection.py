"""The decoder layers are found wherever they stand, and refused with a reason where there are none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pytest_steering.fixtures import anatomies, unusual
from torch import nn

from pytest_steering.architecture.detection import detect_architecture
from pytest_steering.errors import ArchitectureError
from pytest_steering.targets.tiny.models import tiny_model

PATHS = {
    "gpt2": "transformer.h",
    "gpt_bigcode": "transformer.h",
    "starcoder2": "model.layers",
    "qwen2": "model.layers",
    "llama": "model.layers",
    "gpt_neox": "gpt_neox.layers",
    "opt": "model.decoder.layers",
    "bloom": "transformer.h",
    "falcon": "transformer.h",
    "gemma3": "model.layers",
    "mixtral": "model.layers",
    "mamba": "backbone.layers",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", PATHS)
def test_known_architectures(model_type: str) -> None:
    architecture = detect_architecture(tiny_model(model_type))
    assert architecture.layers_path == PATHS[model_type]
    assert architecture.num_layers == 4
    assert architecture.hidden_size == 32
    assert architecture.steering_layers == (1, 2, 3)
    assert architecture.notes == ()
    assert all(decoder_layer.receiver is not None for decoder_layer in architecture.decoder_layers)


@pytest.mark.parametrize(
    ("model", "path", "layers"),
    [
        (anatomies.InSequential, "trunk", 4),
        (anatomies.InModuleDict, "stages", 3),
        (anatomies.NumberedAttributes, "block_*", 4),
        (anatomies.WrappedBlocks, "body.core.units", 3),
        (anatomies.WithDecoy, "used", 3),
        (anatomies.TwoTowers, "text", 4),
        (anatomies.AllInOne, "(root)", 3),
    ],
)
def test_modules_that_nobody_listed(model: type[nn.Module], path: str, layers: int) -> None:
    architecture = detect_architecture(model())
    assert (architecture.layers_path, architecture.num_layers) == (path, layers)
    assert architecture.hidden_size == anatomies.WIDTH


def test_what_it_says() -> None:
    assert detect_architecture(tiny_model("llama")).summary() == (
        "Found model.layers with 4 layers, hidden size 32; steering layers [1, 2, 3]"
    )


def test_fewer_than_three_layers() -> None:
    model = anatomies.InModuleDict()
    del model.stages["dawn"]
    assert detect_architecture(model).steering_layers == (0, 1)


def test_a_contradicting_config_is_reported_and_not_believed() -> None:
    model: Any = tiny_model("llama")
    model.config.num_hidden_layers = 9
    model.config.hidden_size = 64
    architecture = detect_architecture(model)
    assert (architecture.num_layers, architecture.hidden_size) == (4, 32)
    assert architecture.notes == (
        "the config says num_hidden_layers=9, but 4 decoder layers ran",
        "the config says hidden_size=64, but 32 is the width of the residual stream",
    )


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Linear(4, 4), "Linear embeds no tokens: it has no torch.nn.Embedding, so it is no language model"),
        (anatomies.NoLayers(), "no decoder layers found in NoLayers: "),
        (
            nn.Sequential(nn.Embedding(9, 4), nn.Linear(5, 5)),
            "Sequential does not run on 2 rows of 5 tokens: RuntimeError",
        ),
    ],
)
def test_refused_with_a_reason(model: nn.Module, reason: str) -> None:
    with pytest.raises(ArchitectureError) as refusal:
        detect_architecture(model)
    assert str(refusal.value).startswith(reason)
    assert "\n" not in str(refusal.value)


def test_layers_that_do_not_reach_the_logits_are_refused() -> None:
    class Blind(anatomies.InSequential):
        def run(self, hidden: torch.Tensor) -> torch.Tensor:
            self.trunk(hidden)
            return hidden

    with pytest.raises(ArchitectureError, match="no chain of layers writes the logits: editing trunk"):
        detect_architecture(Blind())


@pytest.mark.parametrize(
    ("model", "passes"),
    [(lambda: tiny_model("llama"), 5), (lambda: tiny_model("bloom"), 5), (unusual.Updates, 7), (unusual.Prefixed, 5)],
)
def test_costs_a_few_passes(model: Any, passes: int) -> None:
    built: Any = model()
    ran: list[None] = []
    built.register_forward_pre_hook(lambda *_: ran.append(None))
    detect_architecture(built)
    assert len(ran) <= passes


def test_the_model_is_left_as_it_was() -> None:
    model: Any = tiny_model("gpt2").train()
    model.transformer.h[1].eval()
    modes = [module.training for module in model.modules()]
    detect_architecture(model)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
