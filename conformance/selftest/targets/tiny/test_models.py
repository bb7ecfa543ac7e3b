from __future__ import annotations

import copy
import random
import time
from itertools import pairwise

import pytest
import torch
import transformers

from pytest_steering import SpecError, load_target
from pytest_steering.byte_tokenizer import tiny_tokenizer
from pytest_steering.targets.spec import IMAGE_TEXT, TEXT, Task
from pytest_steering.targets.tiny.models import tiny_config, tiny_model
from pytest_steering.targets.tiny.overrides import overrides
from pytest_steering.targets.tiny.shrink import shrunk

TYPES = [
    "bloom",
    "falcon",
    "gemma3",
    "gemma3_text",
    "gpt2",
    "gpt_bigcode",
    "gpt_neox",
    "llama",
    "mamba",
    "mixtral",
    "opt",
    "qwen2",
    "starcoder2",
]
# Latent attention, nested parts, several axes of positions, recurrent and sparse layers, missing defaults.
DIFFICULT = [
    ("dbrx", TEXT),
    ("deepseek_v2", TEXT),
    ("jamba", TEXT),
    ("reformer", TEXT),
    ("xmod", TEXT),
    ("zamba", TEXT),
    ("gemma3", IMAGE_TEXT),
    ("llama4", IMAGE_TEXT),
    ("llava", IMAGE_TEXT),
    ("mllama", IMAGE_TEXT),
    ("qwen2_5_vl", IMAGE_TEXT),
    ("qwen3_vl_moe", IMAGE_TEXT),
]
# Types that one of the supported versions of transformers lacks.
OF_OLD_VERSIONS = {"mega", "transfo-xl", "Glm4vMoe_text"}
TEXTS = ["def add(a, b):", "x", "return a"]


def batch(side: str) -> dict[str, torch.Tensor]:
    tokenizer = tiny_tokenizer()
    tokenizer.padding_side = side
    encoded = tokenizer(TEXTS, return_tensors="pt", padding=True)
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


@pytest.mark.parametrize("model_type", TYPES)
def test_small_and_of_that_type(model_type: str) -> None:
    target = load_target(f"tiny:{model_type}")
    model, architecture = target.model, target.architecture
    assert (architecture.num_layers, architecture.hidden_size) == (4, 32)
    assert sum(parameter.numel() for parameter in model.parameters()) < 200_000
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.training
    assert "CausalLM" in type(model).__name__ or "LMHead" in type(model).__name__


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("model_type", TYPES)
def test_padded_batch_gives_finite_logits(model_type: str, side: str) -> None:
    inputs = batch(side)
    logits = tiny_model(model_type)(**inputs).logits
    assert tuple(logits.shape) == (*inputs["input_ids"].shape, 264)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("model_type", TYPES)
def test_generates_to_the_end_with_and_without_cache(model_type: str, capfd: pytest.CaptureFixture[str]) -> None:
    model = tiny_model(model_type)
    inputs = batch("left")
    length = inputs["input_ids"].shape[1]
    cached, uncached = (
        model.generate(**inputs, max_new_tokens=12, do_sample=False, use_cache=use_cache)  # type: ignore[operator]
        for use_cache in (True, False)
    )
    assert cached.shape == (3, length + 12)
    assert torch.equal(cached, uncached)
    assert "token_id" not in capfd.readouterr().err


@pytest.mark.parametrize("model_type", TYPES)
def test_layers_mix(model_type: str) -> None:
    """Every layer moves the residual stream by a good part of it, and the first token reaches the last one."""
    target = load_target(f"tiny:{model_type}")
    received: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(
            lambda m, args, kwargs: received.append([*args, *kwargs.values()][0]), with_kwargs=True
        )
        for layer in target.architecture.layers
    ]
    ids = torch.arange(40, 52).unsqueeze(0)
    logits = target.model(input_ids=ids).logits
    for hook in hooks:
        hook.remove()
    assert len(received) == len(hooks) == 4
    for before, after in pairwise(received):
        assert (after - before).norm() > 0.2 * before.norm()
    ids[0, 0] = 200
    assert (target.model(input_ids=ids).logits[0, -1] - logits[0, -1]).abs().max() > 1e-2


@pytest.mark.parametrize(("model_type", "task"), DIFFICULT)
def test_difficult_types_are_small_and_generate(model_type: str, task: Task) -> None:
    model = tiny_model(model_type, task)
    inputs = batch("left")
    assert sum(parameter.numel() for parameter in model.parameters()) < 1_000_000
    logits = model(**inputs).logits
    assert tuple(logits.shape) == (*inputs["input_ids"].shape, 264)
    assert torch.isfinite(logits).all()
    new = model.generate(**inputs, max_new_tokens=4, do_sample=False)  # type: ignore[operator]
    assert new.shape[1] == inputs["input_ids"].shape[1] + 4


@pytest.mark.parametrize("model_type", ["bert", "reformer", "xlm"])
def test_encoder_families_look_back_only(model_type: str) -> None:
    model = tiny_model(model_type)
    ids = torch.arange(40, 52).unsqueeze(0)
    before = model(input_ids=ids).logits[0, :-1]
    ids[0, -1] = 200
    assert torch.allclose(model(input_ids=ids).logits[0, :-1], before, atol=1e-5)


def test_towers_are_as_small_as_the_text_decoder() -> None:
    config = tiny_config("qwen2_5_vl", IMAGE_TEXT)
    vision, text = config.vision_config, config.text_config
    assert (text.hidden_size, text.num_hidden_layers, vision.hidden_size, vision.depth) == (32, 4, 32, 4)
    assert vision.out_hidden_size == text.hidden_size


@pytest.mark.skipif(transformers.__version__ < "5", reason="the tables also name types of later versions")
def test_every_override_is_for_a_type_that_exists() -> None:
    known: set[str] = set()
    classes = [transformers.CONFIG_MAPPING[name] for name in transformers.CONFIG_MAPPING]
    while classes:
        config_class = classes.pop()
        if config_class is not None and getattr(config_class, "model_type", "") not in known:
            known.add(config_class.model_type)
            classes += getattr(config_class, "sub_configs", {}).values()
    assert set(overrides()) - known == OF_OLD_VERSIONS


def test_tables_do_not_leak() -> None:
    before = copy.deepcopy(overrides())
    for model_type in ("cohere2_vision", "glm4v", "qwen2_vl"):
        tiny_config(model_type, IMAGE_TEXT)
    assert before == overrides()


def test_seed_decides_and_global_state_stays() -> None:
    torch.manual_seed(7)
    random.seed(7)
    before = torch.random.get_rng_state(), random.getstate()
    first, same, other = tiny_model("llama"), tiny_model("llama", seed=0), tiny_model("llama", seed=1)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_default_dtype_is_neither_obeyed_nor_changed() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        model = tiny_model("gpt2")
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_family_name_means_its_text_decoder() -> None:
    assert type(tiny_model("gemma3")).__name__ == "Gemma3ForCausalLM"
    assert type(tiny_model("gemma3", "image-text-to-text")).__name__ == "Gemma3ForConditionalGeneration"


def test_each_kind_of_layer_occurs() -> None:
    assert tiny_config("gemma3").layer_types == [*["sliding_attention"] * 3, "full_attention"]


def test_sizes_that_are_named_otherwise_shrink_too() -> None:
    fields = shrunk(type(tiny_config("gpt2")))
    assert {name: fields[name] for name in ("n_embd", "n_layer", "n_head", "n_positions", "attn_pdrop")} == {
        "n_embd": 32,
        "n_layer": 4,
        "n_head": 4,
        "n_positions": 512,
        "attn_pdrop": 0.0,
    }


def test_unknown_type() -> None:
    with pytest.raises(SpecError) as caught:
        tiny_model("vit")
    assert "has no language model type 'vit'" in str(caught.value)


def test_every_byte_has_a_token() -> None:
    tokenizer = tiny_tokenizer()
    text = "".join(chr(code) for code in range(256)) + "日本 🙂"
    ids = tokenizer(text)["input_ids"]
    assert len(tokenizer) == 259
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)


def test_second_build_takes_no_time() -> None:
    tiny_model("llama")
    started = time.process_time()
    tiny_model("llama", seed=1)
    tiny_tokenizer()
    assert time.process_time() - started < 0.3
