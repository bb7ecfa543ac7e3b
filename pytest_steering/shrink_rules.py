"""The tables of :mod:`shrink`: what a field of a configuration becomes by its name, and what no name can tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

PAD, BOS, EOS = 0, 1, 2
VOCAB_SIZE = 264
"""256 bytes, three special tokens, and a few ids for image, video and audio placeholders."""

WIDTH = 32
NUM_LAYERS = 4
NUM_HEADS = 4
HEAD_DIM = 8
MAX_POSITIONS = 512
WINDOW = 256
GRID = 8
"""Patches along each side of an image."""


@dataclass(frozen=True)
class Rule:
    """A field whose name matches ``pattern`` and whose default is one of ``types`` becomes ``value``.

    With ``each``, a list of them (or of lists) keeps its shape and every element becomes ``value``; with
    ``at_most``, a smaller default stays. A rule with ``beside`` speaks only in a class that has that field too.
    """

    pattern: str
    value: Any
    types: tuple[type, ...] = (int,)
    each: bool = False
    at_most: bool = False
    beside: str = ""

    def fits(self, name: str, default: object, names: frozenset[str] = frozenset()) -> bool:
        """Whether the rule speaks about a field of this name with this default, in a class with fields ``names``."""
        if self.beside and self.beside not in names:
            return False
        return self._is_of_type(default) and re.fullmatch(self.pattern, name) is not None

    def new(self, default: Any) -> Any:
        """What ``default`` becomes."""
        if self.each and isinstance(default, list | tuple):
            return type(default)(self.new(element) for element in default)
        if isinstance(self.value, float) and isinstance(default, int):
            return int(self.value)
        return min(self.value, default) if self.at_most and default is not None else self.value

    def _is_of_type(self, default: object) -> bool:
        if self.each and isinstance(default, list | tuple):
            return bool(default) and all(self._is_of_type(element) for element in default)
        return isinstance(default, self.types) and not isinstance(default, bool)


_MAYBE = (int, type(None))
_NUMBER = (int, float)
_MANY = (list, tuple)

RULES = (
    # Vocabulary
    Rule(r"(unpadded_)?vocab_size(_per_layer_input)?|.*_vocab(_size)?", VOCAB_SIZE),
    Rule(r"pad_token_id", PAD, _MAYBE),
    Rule(r"(bos|decoder_start|sep|cls)_token_id", BOS, _MAYBE),
    Rule(r"eos_token_id", EOS, (int, list, tuple, type(None))),
    Rule(r"(forced|suppress|begin_suppress).*", None, (int, list, tuple)),
    Rule(r"(image|vision)_token_(id|index)", 259),
    Rule(r"video_token_(id|index)", 260),
    Rule(r"audio_token_(id|index)", 261),
    Rule(r".*_token_(id|index)|im_.*_id|(unk|mask)_index|lang_id|vocab_offset", 262),
    Rule(r".*_token_ids", 262, each=True),
    # Images: 32 pixels, and so 8 patches, along each side; not beside a text decoder's own patches of bytes
    Rule(r"(max_|min_)?(image|img|crop)_size|resolution", 4 * GRID, each=True),
    Rule(r"image_grid_pinpoints", [[4 * GRID, 8 * GRID], [8 * GRID, 4 * GRID], [8 * GRID, 8 * GRID]], _MANY),
    Rule(r"patch_size", 4),
    Rule(r"window_size", 2 * GRID, beside="patch_size"),
    Rule(r"pos_emb_(height|width)|posemb_grid_size", GRID),
    Rule(r"(num_position_embeddings|position_embedding_size|num_patches|mm_posemb_size)", GRID * GRID),
    Rule(r"(max_num_patches|max_vit_seq_len|img_max_token_num|seq_len)", GRID * GRID),
    Rule(r"image_seq_length|num_image_tokens|(vision|audio)_soft_tokens_per_image", GRID * GRID),
    Rule(r"mm_tokens_per_image", GRID * GRID // 4),
    Rule(r"num_query_tokens|latent_query_num|.*n(um)?_latents", 8),
    Rule(r"base_channels|output_channels|nemo_conv_channels|.*_out_channel(s)?|post_conv_.*_channels", 32),
    Rule(r"latent_channels|embed_dim|downsample_channels", 32, each=True),
    Rule(r"codebook_size|num_embeddings", 64),
    # Width
    Rule(r"mlp_dim|.*intermediate_size(_mlp)?|.*ffn_(dim|hidden_size)|d_ff|dim_ff|dff|d_inner", 2 * WIDTH),
    Rule(r"feed_forward_size|share_expert_dim", 2 * WIDTH),
    Rule(r"hidden_size_per_layer_input|.*lora_?rank|laurel_rank|.*_rank|d_rel|router_hidden_size", 8),
    Rule(r".*(hidden|embedding|input|output|embed|adapter_in|adapter_out)_(size|dim|dims)", WIDTH),
    Rule(r"d_model|emb_dim|projection_(hidden_)?dim|hidden_size_global|prompt_mid_dim", WIDTH),
    Rule(r"hidden_sizes", WIDTH, each=True),
    # Depth
    Rule(r"(conf_)?num_(hidden_|global_)?layers|n_layers?|(num_)?(de|en)coder_layers", NUM_LAYERS),
    Rule(r"num_blocks|(.*_)?depth", NUM_LAYERS),
    Rule(r"depths", 1, each=True),
    Rule(r"first_k_dense_replace|num_dense_layers", 1),
    Rule(r"num_(mtp|nextn_predict|kv_shared)_layers", 0),
    Rule(r"(max_window_layers|num_mem_blocks|insert_layer_id)", 1),
    Rule(r"layer_group_size", NUM_LAYERS),
    Rule(r"deepstack_visual_indexes", [0, 1, 2], _MANY),
    Rule(r"fullatt_block_indexes|global_attn_indexes|cross_attention_layers|intermediate_layers_indices", [1, 3], _MANY),
    Rule(r"vision_feature_layer", [3, 2], _MANY),
    # Attention
    Rule(r"(.*_)?(attention_heads|n_heads?|num_heads)", NUM_HEADS, each=True),
    Rule(r"(swa_)?num_key_value_heads", 2, _MAYBE),
    Rule(r"head_dim", HEAD_DIM, _MAYBE),
    Rule(r".*head_dim|dim_head|attention_head_size|kv_channels|rotary_dim|query_pre_attn_scalar|d_kv", HEAD_DIM),
    Rule(
        r"max_position_embeddings|n_positions|n_ctx|max_seq(uence)?_len|seq_length|context_length",
        MAX_POSITIONS,
    ),
    Rule(r"max_(source|target)_positions|original_max_position_embeddings|mem_len", MAX_POSITIONS),
    Rule(r"sliding_window(_size)?|attention_window_size|window_size|local_attention|keep_window_size", WINDOW),
    Rule(r"attention_chunk_size|local_attention_window_len|index_topk", WINDOW),
    # Experts
    Rule(r"num_(local_)?experts|n_routed_experts|moe_num_experts", 4),
    Rule(r"num_experts_per_tok|moe_topk|moe_k|top_k_experts", 2, _MAYBE, at_most=True),
    Rule(r"n_group|topk_group|(n|num|moe_num)_shared_experts|zero_expert_num", 1),
    # Recurrent state
    Rule(r".*state_size|.*d_state", 8),
    Rule(r"linear_num_key_heads|linear_num_heads|n_groups", 2),
    Rule(r"linear_num_value_heads", 4),
    # Nothing random while it runs; layers that really mix at this width
    Rule(r".*(drop|dropout|pdrop|layerdrop|dropout_p|dropout_prob|jitter_noise|drop_path_rate)", 0.0, _NUMBER),
    Rule(r"initializer_range|init_std|initializer_factor", 0.2, _NUMBER),
)

_PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
_AXIAL = _PLAIN | {"mrope_section": [2, 1, 1]}

OVERRIDES: dict[str, dict[str, Any]] = {
    # Lists and periods that must agree with the number of layers, and are not named by layer.
    "bamba": {"attn_layer_indices": [3]},
    "gpt_neo": {"attention_types": [[["global", "local"], NUM_LAYERS // 2]]},
    "granitemoehybrid": {"layer_types": ["mamba", "mamba", "mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
    "reformer": {
        "attn_layers": ["local", "lsh"] * (NUM_LAYERS // 2),
        "axial_pos_embds_dim": [WIDTH // 2] * 2,
        "axial_pos_shape": [16, MAX_POSITIONS // 16],
    },
    # Two shared layers, because tying them needs a second one.
    "zamba": {"layers_block_type": None, "attn_layer_period": 2, "attn_layer_offset": 0, "use_mamba_kernels": False},
    # Heads times their width must be twice the hidden size.
    "mamba2": {"num_heads": 8},
    # Its cache rounds widths up to a multiple of 64, and its layers do not.
    "xlstm": {"qk_dim_factor": 64 / WIDTH, "v_dim_factor": 64 / WIDTH},
    # Its cache counts layers of a whole that has none of its own.
    "blt": {"num_hidden_layers": NUM_LAYERS},
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
        "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
        "rope_parameters": {"sliding_attention": _AXIAL, "full_attention": _AXIAL},
    },
    "dbrx": {"attn_config": {"rope_theta": 10000.0, "clip_qkv": 8.0}},
    "diffusion_gemma_text": {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 2 * WIDTH},
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1},
    "lfm2": {"layer_types": ["conv", "conv", "full_attention", "conv"]},
    "lfm2_moe": {"layer_types": ["conv", "conv", "full_attention", "conv"]},
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
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense"] + ["sparse"] * 3},
    "granite4_vision": {"deepstack_layer_map": [[0, 0], [3, 2]], "downsample_rate": "1/2", "vision_config": {"hidden_size": 64}},
    "qwen2_5_omni_thinker": {"vision_start_token_id": 262, "vision_end_token_id": 262},
    "qwen3_omni_moe_thinker": {"vision_start_token_id": 262, "vision_end_token_id": 262},
    "step3p5": {"sliding_window": WINDOW},
    # Sizes of sliding layers that are no fields of the class.
    "dots3_note_text": {
        "swa_num_attention_heads": NUM_HEADS,
        "swa_num_key_value_heads": NUM_HEADS,
        "swa_q_lora_rank": 8,
        "swa_kv_lora_rank": 8,
        "swa_head_dim": 2 * HEAD_DIM,
        "swa_qk_nope_head_dim": HEAD_DIM,
        "swa_v_head_dim": HEAD_DIM,
    },
    # Its sparse attention has no rotary part.
    "glm5_next_text": {"qk_rope_head_dim": 0},
    # Sections that only the model's code names: time, height and width, in this order or another.
    "ernie4_5_vl_moe_text": {"rope_parameters": _AXIAL | {"mrope_section": [1, 1, 2]}},
    "paddleocr_vl_text": {"rope_parameters": _AXIAL},
    "mllama_text_model": {"rope_scaling": _PLAIN},
    # Before version 5 no class of transformers tells that its positions have several axes.
    **dict.fromkeys(("qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text"), {"rope_scaling": _AXIAL}),
    **dict.fromkeys(("qwen3_vl_moe_text", "glm4v_text"), {"rope_scaling": _AXIAL}),
    **dict.fromkeys(("glm4v_moe_text", "Glm4vMoe_text"), {"rope_scaling": _AXIAL, "partial_rotary_factor": 1.0}),
    # As wide as the last layer and two between, side by side.
    "mllama_vision_model": {"vision_output_dim": 3 * WIDTH},
}
