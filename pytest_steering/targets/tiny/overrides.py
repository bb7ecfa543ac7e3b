"""What no rule can know about single configuration classes, each with its reason."""

from __future__ import annotations

import inspect
from typing import Any

from pytest_steering.targets.tiny.rules import FEED_FORWARD, GRID, MAX_POSITIONS, VOCAB_SIZE, WINDOW
from pytest_steering.targets.tiny.sizes import HEAD_DIM, SMALL, Sizes

_PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
_AXIAL = _PLAIN | {"mrope_section": [2, 1, 1]}


def overrides(sizes: Sizes = SMALL) -> dict[str, dict[str, Any]]:
    """The fields that are set for single configuration classes, by model type."""
    layers, width, heads = sizes.layers, sizes.hidden, sizes.heads
    return {
        # Lists and periods that must agree with the number of layers, and are not named by layer.
        "bamba": {"attn_layer_indices": [layers - 1]},
        "gpt_neo": {"attention_types": [[[kind], 1] for kind in _cycle(["global", "local"], layers)]},
        "granitemoehybrid": {"layer_types": _last("mamba", "attention", layers)},
        "reformer": {
            "attn_layers": _cycle(["local", "lsh"], layers),
            "axial_pos_embds_dim": [width // 2] * 2,
            "axial_pos_shape": [16, MAX_POSITIONS // 16],
            # It hashes at random otherwise, and no two runs are alike.
            "hash_seed": 0,
        },
        # Before version 5 it refuses to run without kernels.
        "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
        # It looks ahead unless told not to, and no other class calls that so.
        "xlm": {"causal": True},
        # Gates that start closed would hide the images; text passes between the layers that see them.
        "idefics": {"alpha_initializer": "ones", "cross_layer_interval": 2},
        # Two shared layers, because tying them needs a second one.
        "zamba": {
            "layers_block_type": None,
            "attn_layer_period": 2,
            "attn_layer_offset": 0,
            "use_mamba_kernels": False,
        },
        # Heads times their width must be twice the hidden size.
        "mamba2": {"num_heads": 2 * heads},
        # Its cache rounds widths up to a multiple of 64, and its layers do not.
        "xlstm": {"qk_dim_factor": 64 / width, "v_dim_factor": 64 / width},
        # Its cache counts layers of a whole that has none of its own.
        "blt": {"num_hidden_layers": layers},
        # Towers of another library, which has its own names for sizes.
        "gemma3n_vision": {"architecture": "test_resnet"},
        "fast_vlm": {"vision_config": {"model_args": {"layers": [1] * 5, "embed_dims": [width] * 5, "cls_ratio": 1.0}}},
        "perception_lm": {
            "vision_config": {"architecture": "vit_pe_core_tiny_patch16_384", "model_args": _pe_core(sizes)}
        },
        # Before version 5 of transformers both parts have to be named.
        "vision-encoder-decoder": {
            "encoder": {"model_type": "vit"},
            "decoder": {"model_type": "bert", "is_decoder": True, "add_cross_attention": True},
        },
        # Gone from version 5 of transformers.
        "mega": {"bidirectional": False},
        "transfo-xl": {"cutoffs": [VOCAB_SIZE // 2], "proj_share_all_but_first": False},
        # One codebook, because each further one is a row of the batch.
        "musicgen_decoder": {"num_codebooks": 1},
        "musicgen_melody_decoder": {"num_codebooks": 1},
        # Without a default that works: the class leaves out what its model reads.
        "cohere_compass_text": {
            "layer_types": _last("sliding_attention", "full_attention", layers),
            "rope_parameters": {"sliding_attention": _AXIAL, "full_attention": _AXIAL},
        },
        "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8.0}},
        "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": FEED_FORWARD},
        "dots1": {"n_routed_experts": 4, "n_shared_experts": 1},
        "lfm2_moe": {"layer_types": _cycle(["conv", "conv", "full_attention", "conv"], layers)},
        "qwen4_exp_text": {
            "indexer_n_heads": 2,
            "indexer_kv_heads": 1,
            "indexer_head_dim": HEAD_DIM,
            "indexer_budget": WINDOW,
            "indexer_compress_ratio": 2,
        },
        "xmod": {"default_language": "en_XX"},
        "chameleon": {"vocabulary_map": {"<image>": 259}},
        "emu3": {"vocabulary_map": {"<image>": 259, "<|extra_200|>": 262}},
        "deepseek_ocr2_text": {"mlp_layer_types": ["dense"] + ["sparse"] * (layers - 1)},
        "granite4_vision": {
            "deepstack_layer_map": [[0, 0], [3, 2]],
            "downsample_rate": "1/2",
            "vision_config": {"hidden_size": 64},
        },
        "qwen2_5_omni_thinker": {"vision_start_token_id": 262, "vision_end_token_id": 262},
        "qwen3_omni_moe_thinker": {"vision_start_token_id": 262, "vision_end_token_id": 262},
        "step3p5": {"sliding_window": WINDOW},
        # Sizes of sliding layers that are no fields of the class.
        "dots3_note_text": {
            "swa_num_attention_heads": heads,
            "swa_num_key_value_heads": heads,
            "swa_q_lora_rank": 8,
            "swa_kv_lora_rank": 8,
            "swa_head_dim": 2 * HEAD_DIM,
            "swa_qk_nope_head_dim": HEAD_DIM,
            "swa_v_head_dim": HEAD_DIM,
        },
        # Every published model mixes them, and the class's default does not.
        "lfm2": {"layer_types": _cycle(["conv", "conv", "full_attention", "conv"], layers)},
        # Its sparse attention has no rotary part.
        "glm5_next_text": {"qk_rope_head_dim": 0},
        # Sections that only the model's code names: time, height and width, in this order or another.
        "ernie4_5_vl_moe_text": {"rope_parameters": _AXIAL | {"mrope_section": [1, 1, 2]}},
        "paddleocr_vl_text": {"rope_parameters": _AXIAL},
        # Before version 5 no class of transformers tells that its positions have several axes.
        "qwen2_vl_text": {"rope_scaling": _AXIAL},
        "qwen2_5_vl_text": {"rope_scaling": _AXIAL},
        "qwen3_vl_text": {"rope_scaling": _AXIAL},
        "qwen3_vl_moe_text": {"rope_scaling": _AXIAL},
        "glm4v_text": {"rope_scaling": _AXIAL},
        "glm4v_moe_text": {"rope_scaling": _AXIAL, "partial_rotary_factor": 1.0},
        "Glm4vMoe_text": {"rope_scaling": _AXIAL, "partial_rotary_factor": 1.0},
        # Before version 5 its model needs some, and its class has none.
        "mllama_text_model": {"rope_scaling": _PLAIN},
        # Four patches side by side go through its feed-forward layer.
        "llama4_vision_model": {"intermediate_size": 4 * width},
        # The number of patches is a key.
        "aria": {"projector_patch_to_query_dict": {GRID * GRID: GRID}},
        # As wide as the last layer and two between, side by side.
        "mllama_vision_model": {"vision_output_dim": 3 * width},
    }


def _pe_core(sizes: Sizes) -> dict[str, Any]:
    return {
        "embed_dim": sizes.hidden,
        "depth": sizes.layers,
        "num_heads": sizes.heads,
        "img_size": [4 * GRID] * 2,
        "patch_size": 4,
        "ref_feat_shape": [GRID] * 2,
        "global_pool": "",
    }


def _cycle(kinds: list[Any], layers: int) -> list[Any]:
    return [kinds[index % len(kinds)] for index in range(layers)]


def _last(most: str, last: str, layers: int) -> list[str]:
    return [most] * (layers - 1) + [last]


def kinds_of_layers(full: Any, layers: int) -> dict[str, Any]:
    """Every per-layer list of the full-size default, made ``layers`` long and holding each kind of layer that fits.

    Kinds are names, or the few different numbers of a list that says something else than one size for all.
    """
    known = inspect.signature(type(full)).parameters
    depth = getattr(full, "num_hidden_layers", None)
    return {
        name: _of_length(list(value), layers)
        for name, value in vars(full).items()
        if name in known and isinstance(value, list | tuple) and len(value) == depth and _tells_kinds(value)
    }


def _tells_kinds(per_layer: Any) -> bool:
    if all(isinstance(each, str) for each in per_layer):
        return True
    numbers = all(isinstance(each, int | float) for each in per_layer)
    return numbers and 1 < len(set(per_layer)) <= SMALL.layers


def _of_length(kinds: list[Any], layers: int) -> list[Any]:
    first, distinct = _cycle(kinds, layers), list(dict.fromkeys(kinds))
    if set(first) == set(distinct):
        return first
    return ([kinds[0]] * (layers - len(distinct)) + distinct)[:layers]


_SECTION = "mrope_section"


def shrunk_rope(full: Any) -> dict[str, Any]:
    """``rope_parameters`` of a configuration whose positions have several axes; nothing for any other.

    The sections of a head that belong to time, height and width sum to the number of rotated pairs, and the
    whole head rotates, so that each has one pair at least. A full-size configuration often leaves them out,
    and its model then takes sections of its own that fit the full-size head only.
    """
    name = "rope_parameters" if hasattr(full, "rope_parameters") else "rope_scaling"
    if name not in inspect.signature(type(full)).parameters:
        return {}
    given = getattr(full, name, None) or {}
    expected = _SECTION in (getattr(full, "ignore_keys_at_rope_validation", None) or ())
    if not expected and _SECTION not in given:
        return {}
    nested = {key: value | _sections(value) for key, value in given.items() if isinstance(value, dict)}
    return {name: given | (nested or _sections(given))}


def _sections(given: dict[str, Any]) -> dict[str, Any]:
    old = given.get(_SECTION) or [3, 2, 2]
    pairs, count = HEAD_DIM // 2, len(old)
    spare = next((index for index, size in enumerate(old) if old.count(size) == 1), 0)
    sections = [pairs // count] * count
    sections[spare] += pairs % count
    return {_SECTION: sections, "partial_rotary_factor": 1.0}
