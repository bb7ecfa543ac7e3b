"""What a field of a configuration becomes by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_steering.byte_tokenizer import BOS, EOS, PAD
from pytest_steering.targets.tiny.sizes import HEAD_DIM, Sizes

VOCAB_SIZE = 264
"""256 bytes, three special tokens, and a few ids for image, video and audio placeholders."""

FEED_FORWARD = 64
"""As wide in a model of any width: it is what makes real models large."""
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

_LARGE_WEIGHTS = Rule(r"initializer_range|init_std|initializer_factor", 0.2, _NUMBER)
"""Layers that really mix at a small width."""


@lru_cache
def rules(sizes: Sizes) -> tuple[Rule, ...]:
    """What is known of any field of any configuration class, for a model of these sizes."""
    known = (
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
        Rule(r"latent_channels|downsample_channels", 32, each=True),
        Rule(r"channel_multiplier", 1, each=True),
        Rule(r"codebook_size|num_embeddings", 64),
        # Width
        Rule(r"mlp_dim|.*intermediate_size(_mlp)?|.*ffn_(dim|hidden_size)|d_ff|dim_ff|dff|d_inner", FEED_FORWARD),
        Rule(r"feed_forward_size|share_expert_dim", FEED_FORWARD),
        Rule(r"hidden_size_per_layer_input|.*lora_?rank|laurel_rank|.*_rank|d_rel|router_hidden_size", 8),
        Rule(r".*(hidden|embedding|input|output|embed|adapter_in|adapter_out)_(size|dim|dims)", sizes.hidden),
        Rule(r"d_model|emb_dim|projection_(hidden_)?dim|hidden_size_global|prompt_mid_dim", sizes.hidden),
        Rule(r"hidden_sizes|embed_dim", sizes.hidden, each=True),
        # Depth
        Rule(r"(conf_)?num_(hidden_|global_)?layers|n_layers?|(num_)?(de|en)coder_layers", sizes.layers),
        Rule(r"num_blocks|(.*_)?depth", sizes.layers),
        Rule(r"depths", 1, each=True),
        Rule(r"first_k_dense_replace|num_dense_layers", 1),
        Rule(r"num_(mtp|nextn_predict|kv_shared)_layers", 0),
        Rule(r"(max_window_layers|num_mem_blocks|insert_layer_id)", 1),
        Rule(r"layer_group_size", sizes.layers),
        Rule(r"deepstack_visual_indexes", list(range(sizes.layers))[:3], _MANY),
        Rule(
            r"fullatt_block_indexes|global_attn_indexes|cross_attention_layers|intermediate_layers_indices",
            list(range(sizes.layers))[1:4:2] or [0],
            _MANY,
        ),
        Rule(r"vision_feature_layer", [sizes.layers - 1, max(0, sizes.layers - 2)], _MANY),
        # Attention
        Rule(r"(.*_)?(attention_heads|n_heads?|num_heads)", sizes.heads, each=True),
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
        # Nothing random while it runs
        Rule(r".*(drop|dropout|pdrop|layerdrop|dropout_p|dropout_prob|jitter_noise|drop_path_rate)", 0.0, _NUMBER),
    )
    return known if sizes.default_init else (*known, _LARGE_WEIGHTS)
