"""How any configuration class becomes tiny: rules by what a field means, not a table per architecture."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from pytest_steering.targets.tiny.overrides import kinds_of_layers, overrides, shrunk_rope
from pytest_steering.targets.tiny.rules import rules
from pytest_steering.targets.tiny.sizes import SMALL, Sizes


def shrunk(config_class: type, full: Any = None, sizes: Sizes = SMALL) -> dict[str, Any]:
    """The keyword arguments that make a tiny instance of ``config_class``.

    A field that no rule speaks about keeps its default. Where the full-size default mixes several kinds of
    layers, each kind that fits occurs among the tiny one's four. ``full`` is the instance that another
    configuration holds by default: what it sets otherwise than the class does counts as the default.
    """
    own = _overrides(config_class, sizes)
    bare = _bare(config_class) or _bare(config_class, **own)
    full = bare if full is None else full
    fields = _by_rules(config_class, bare, full, sizes)
    if "kv_lora_rank" in fields and "num_key_value_heads" in fields:
        # Latent attention expands its keys to every head, so there are no groups.
        fields["num_key_value_heads"] = fields["num_attention_heads"]
    if full is None:  # a class that cannot be built bare has no defaults to learn from
        return fields | own
    parts = {name: part | own.get(name, {}) for name, part in _parts(full, sizes).items()}
    return kinds_of_layers(full, sizes.layers) | fields | shrunk_rope(full) | own | parts


def _overrides(config_class: type, sizes: Sizes) -> dict[str, Any]:
    """The fields that a table sets; ``None`` leaves one to the class, and is nothing where the class has no such."""
    known = inspect.signature(config_class).parameters
    own = overrides(sizes).get(getattr(config_class, "model_type", ""), {})
    return {name: copy.deepcopy(value) for name, value in own.items() if value is not None or name in known}


def _bare(config_class: Any, **fields: Any) -> Any:
    try:
        return config_class(**fields)
    except Exception:
        return None


def _by_rules(config_class: type, bare: Any, full: Any, sizes: Sizes) -> dict[str, Any]:
    """Every field of which a rule speaks, by its own or its canonical name, and what ``full`` sets of its own."""
    attributes: dict[str, str] = getattr(config_class, "attribute_map", {})
    canonical = {own: name for name, own in attributes.items()}
    declared = {name: each.default for name, each in inspect.signature(config_class).parameters.items()}
    ours: dict[str, Any] = getattr(bare, "__dict__", {})
    theirs: dict[str, Any] = getattr(full, "__dict__", {})
    extra = {name: value for name, value in theirs.items() if name not in ours and not name.startswith("_")}
    fields: dict[str, Any] = {}
    for name, default in (extra | declared).items():
        derived, given = ours.get(name), theirs.get(name)
        if isinstance(given, int | float | str | list | tuple) and given != derived:
            default = given
            if isinstance(given, int | float | str):
                fields[name] = given
        elif default is None and isinstance(derived, list | tuple):
            default = derived
        for rule in rules(sizes):
            if any(rule.fits(known, default, frozenset(declared)) for known in (canonical.get(name, name), name)):
                fields[name] = rule.new(default)
                break
    return fields


def _parts(full: Any, sizes: Sizes) -> dict[str, Any]:
    """The configurations inside a configuration (text, vision, patcher …), shrunk by the same rules.

    A tower that the class leaves out by default is built all the same, where its class is known.
    """
    parts = {}
    for name, declared in getattr(type(full), "sub_configs", {}).items():
        part = getattr(full, name, None) or _bare(declared)
        if part is not None and hasattr(part, "to_dict"):
            parts[name] = {"model_type": part.model_type} | shrunk(type(part), part, sizes)
    return parts
