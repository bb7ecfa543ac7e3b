"""How any configuration class becomes tiny: rules by what a field means, not a table per architecture."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import Any

PAD, BOS, EOS = 0, 1, 2
VOCAB_SIZE = 264
"""256 bytes, three special tokens, and a few ids for image, video and audio placeholders."""

NUM_LAYERS = 4
MAX_POSITIONS = 512
WINDOW = 256


@dataclass(frozen=True)
class Rule:
    """A field with this name ``pattern`` and a default of one of ``types`` becomes ``value``."""

    pattern: str
    value: Any
    types: tuple[type, ...] = (int,)

    def fits(self, name: str, default: object) -> bool:
        """Whether the rule speaks about a field of this name with this default."""
        if isinstance(default, bool) or not isinstance(default, self.types):
            return False
        return re.fullmatch(self.pattern, name) is not None


_MAYBE = (int, type(None))
_NUMBER = (int, float)

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
    Rule(r".*_token_(id|index)|(unk|mask)_index|lang_id", 262),
    # Width
    Rule(r"(hidden|embedding|input_embedding|output_embedding|backbone_hidden)_size|d_model|emb_dim", 32),
    Rule(r".*intermediate_size(_mlp)?|.*ffn_(dim|hidden_size)|d_ff|dim_ff|dff|d_inner|feed_forward_size", 64),
    Rule(r"hidden_size_per_layer_input|.*lora_rank|laurel_rank|.*_rank|d_rel|router_hidden_size", 8),
    # Depth
    Rule(r"num_hidden_layers|num_layers|n_layers?|(num_)?decoder_layers|(num_)?encoder_layers", NUM_LAYERS),
    Rule(r"first_k_dense_replace|num_dense_layers", 1),
    Rule(r"num_(mtp|nextn_predict|kv_shared)_layers", 0),
    Rule(r"(max_window_layers|num_mem_blocks)", 1),
    # Attention
    Rule(r"(.*_)?(attention_heads|n_heads?|num_heads)|num_attention_heads|n_heads?|num_heads", 4),
    Rule(r"(swa_)?num_key_value_heads", 2, _MAYBE),
    Rule(r".*head_dim|dim_head|attention_head_size|kv_channels|rotary_dim|query_pre_attn_scalar", 8),
    Rule(
        r"max_position_embeddings|n_positions|n_ctx|max_seq(uence)?_len|seq_length|context_length",
        MAX_POSITIONS,
    ),
    Rule(r"max_(source|target)_positions|original_max_position_embeddings|mem_len", MAX_POSITIONS),
    Rule(r"sliding_window(_size)?|attention_window_size|window_size|local_attention|keep_window_size", WINDOW),
    Rule(r"attention_chunk_size|local_attention_window_len|index_topk", WINDOW),
    # Experts
    Rule(r"num_(local_)?experts|n_routed_experts|moe_num_experts", 4),
    Rule(r"num_experts_per_tok|moe_topk|moe_k|top_k_experts", 2),
    Rule(r"n_group|topk_group|(n|num|moe_num)_shared_experts|zero_expert_num", 1),
    # Recurrent state
    Rule(r".*state_size|.*d_state", 8),
    Rule(r"linear_num_key_heads|linear_num_heads", 2),
    Rule(r"linear_num_value_heads", 4),
    # Nothing random while it runs; layers that really mix at this width
    Rule(r".*(drop|dropout|pdrop|layerdrop|dropout_p|dropout_prob|jitter_noise)", 0.0, _NUMBER),
    Rule(r"initializer_range|init_std|initializer_factor", 0.2, _NUMBER),
)

OVERRIDES: dict[str, dict[str, Any]] = {
    # Lists and periods that must agree with the number of layers, and are not named by layer.
    "bamba": {"attn_layer_indices": [3]},
    "gpt_neo": {"attention_types": [[["global", "local"], NUM_LAYERS // 2]]},
    "granitemoehybrid": {"layer_types": ["mamba", "mamba", "mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    # Heads times their width must be twice the hidden size.
    "mamba2": {"num_heads": 8},
}


def shrunk(config_class: type) -> dict[str, Any]:
    """The keyword arguments that make a tiny instance of ``config_class``.

    A field that no rule speaks about keeps its default. Where the full-size default mixes several kinds of
    layers, each kind that fits occurs among the tiny one's four.
    """
    canonical = {own: name for name, own in getattr(config_class, "attribute_map", {}).items()}
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(config_class).parameters.items():
        for rule in RULES:
            if any(rule.fits(known, parameter.default) for known in (canonical.get(name, name), name)):
                fields[name] = rule.value
                if isinstance(rule.value, float) and isinstance(parameter.default, int):
                    fields[name] = int(rule.value)
                break
    if "kv_lora_rank" in fields and "num_key_value_heads" in fields:
        # Latent attention expands its keys to every head, so there are no groups.
        fields["num_key_value_heads"] = fields["num_attention_heads"]
    own = OVERRIDES.get(getattr(config_class, "model_type", ""), {})
    try:
        full = config_class()
    except Exception:  # a class that cannot be built bare has no defaults to learn from
        return fields | own
    return fields | _parts(full) | _kinds_of_layers(full) | own


def _parts(full: Any) -> dict[str, Any]:
    """The configurations inside a configuration (text, vision, patcher …), shrunk by the same rules."""
    parts = {}
    for name in getattr(type(full), "sub_configs", {}):
        part = getattr(full, name, None)
        if part is not None and hasattr(part, "to_dict"):
            part_class: Any = type(part)
            parts[name] = part_class(**shrunk(part_class)).to_dict()
    return parts


def _kinds_of_layers(full: Any) -> dict[str, Any]:
    """Every per-layer list of names of the full-size default, cut to four and holding each kind."""
    known = inspect.signature(type(full)).parameters
    depth = getattr(full, "num_hidden_layers", None)
    return {
        name: _cut(value)
        for name, value in vars(full).items()
        if name in known and isinstance(value, list) and len(value) == depth and isinstance(value[0], str)
    }


def _cut(kinds: list[str]) -> list[str]:
    first, distinct = kinds[:NUM_LAYERS], list(dict.fromkeys(kinds))
    if set(first) == set(distinct):
        return first
    return ([kinds[0]] * (NUM_LAYERS - len(distinct)) + distinct)[:NUM_LAYERS]
