"""What a language model is fed: token ids under the name it takes them by, and what must stand beside them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.architecture.beside import SOURCE_TOKENS, beside_text
from pytest_steering.architecture.weights import device_of
from pytest_steering.errors import ArchitectureError

_TOKENS = ("decoder_input_ids", "decoder_inputs_embeds", "input_ids", "inputs_embeds")
_EMBEDDED = 200


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """How the text decoder of one model is given tokens.

    ``beside`` is one row of everything else that the model needs, the same for every row of text: the source text of
    an encoder, an image.
    """

    ids_name: str
    positional: bool = False
    """The ids are the first argument, whatever its name."""
    mask_name: str = ""
    """Empty when the model takes no attention mask."""
    numbered: bool = False
    """The model takes ``position_ids``."""
    begins: int | None = None
    """The token that every text begins with: ``generate`` of an encoder-decoder puts it there otherwise."""
    beside: Mapping[str, Tensor] = field(default_factory=dict)

    def inputs(self, ids: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """The keyword arguments for ``(rows, columns)`` token ids, on their device."""
        fed = {self.ids_name: ids}
        if mask is not None and self.mask_name:
            fed[self.mask_name] = mask
        for name, row in self.beside.items():
            fed[name] = row.to(ids.device).expand(ids.shape[0], *row.shape[1:])
        return fed

    def mask(self, inputs: Mapping[str, Tensor]) -> Tensor | None:
        """The attention mask among what was made by :meth:`inputs`."""
        return inputs.get(self.mask_name)

    def call(self, model: Any, ids: Tensor, mask: Tensor | None = None) -> Any:
        """What the model returns for these token ids."""
        return model(ids) if self.positional else model(**self.inputs(ids, mask))


def possible_inputs(model: nn.Module) -> list[ModelInputs]:
    """The ways in which ``model`` might take text, the plainest first."""
    accepted = inspect.signature(model.forward).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
    numbered = "position_ids" in accepted
    if "decoder_input_ids" in accepted:
        return _of_decoders(model, set(accepted))
    mask = "attention_mask" if anything or "attention_mask" in accepted else ""
    named = anything or "input_ids" in accepted
    name = "input_ids" if named else next(iter(accepted), "input_ids")
    plain = ModelInputs(name, positional=not named, mask_name=mask, numbered=numbered)
    pictured = [replace(plain, beside=more) for more in beside_text(model)]
    unmasked = [replace(plain, mask_name="")] if mask else []
    return [plain, *pictured, *unmasked]


def input_tokens(kwargs: Mapping[str, Any], args: Sequence[Any] = ()) -> Tensor:
    """The tokens that a module is called with, as ids or embedded: ``(rows, columns, …)``."""
    for name in _TOKENS:
        if isinstance(kwargs.get(name), Tensor):
            tokens: Tensor = kwargs[name]
            return tokens
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            return value
    raise ValueError("a forward pass needs input_ids or inputs_embeds")


def input_mask(kwargs: Mapping[str, Any]) -> Tensor | None:
    """The attention mask ``(rows, columns)`` of the tokens that a module is called with, if it is given one."""
    mask = kwargs.get("decoder_attention_mask" if "decoder_input_ids" in kwargs else "attention_mask")
    return mask if isinstance(mask, Tensor) and mask.ndim == 2 else None


def remembered(kwargs: Mapping[str, Any]) -> int | None:
    """How many tokens a memory of hidden states (``mems``, sequence first, as in Transformer-XL) stands for."""
    memory = kwargs.get("mems")
    return int(memory[0].shape[0]) if isinstance(memory, tuple | list) and isinstance(memory[0], Tensor) else None


def begins_at(kwargs: Mapping[str, Any], columns: int, mask: Tensor | None) -> int | None:
    """The absolute column at which a pass of so many columns begins, by its mask, its memory or its cache.

    ``None`` when none of them tells, as a recurrent state does not. A mask may also be as wide as a static cache, and
    does not tell then.
    """
    cache = cache_in(kwargs)
    if mask is not None and (cache is None or mask.shape[1] != room_of(cache)):
        return max(0, mask.shape[1] - columns)
    memory = remembered(kwargs)
    if memory is not None:
        return memory
    if cache is not None:
        with suppress(TypeError, ValueError, NotImplementedError):
            return int(cache.get_seq_length())
    return None


def cache_in(kwargs: Mapping[str, Any]) -> Any:
    """What holds keys and values of earlier tokens, if there is something."""
    return next((value for value in kwargs.values() if hasattr(value, "get_seq_length")), None)


def room_of(cache: Any) -> int:
    """How many tokens a static cache has room for; -1 for any other."""
    for name in ("get_max_length", "get_max_cache_shape"):  # in transformers 5, and in 4
        with suppress(Exception):  # each cache has its own reasons for not knowing
            return int(getattr(cache, name)())
    return -1


def embedding_of(model: nn.Module) -> nn.Embedding:
    """The largest table of embeddings; ``ArchitectureError`` when the model has none."""
    embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    if not embeddings:
        raise ArchitectureError(
            f"{type(model).__name__} embeds no tokens: it has no torch.nn.Embedding, so it is no language model"
        )
    return max(embeddings, key=lambda embedding: embedding.num_embeddings)


def tokens_go_to(model: nn.Module) -> torch.device:
    """Where token ids go: where the model's first embedding computes, or its first module that has weights."""
    embedding = next((module for module in model.modules() if isinstance(module, nn.Embedding)), None)
    holding = (module for module in model.modules() if next(module.parameters(recurse=False), None) is not None)
    return device_of(embedding or next(holding, model))


def seeded_ids(model: nn.Module, rows: int, tokens: int, seed: int = 0) -> Tensor:
    """Seeded token ids ``(rows, tokens)`` on the device of the model's embedding."""
    embedding = embedding_of(model)
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, min(embedding.num_embeddings, _EMBEDDED), (rows, tokens), generator=generator)
    return ids.to(device_of(embedding))


def _of_decoders(model: nn.Module, accepted: set[str]) -> list[ModelInputs]:
    """An encoder-decoder is steered in its decoder; the encoder reads the same source for every row."""
    mask = "decoder_attention_mask" if "decoder_attention_mask" in accepted else ""
    source = {"input_ids": seeded_ids(model, 1, SOURCE_TOKENS, seed=1)} if "input_ids" in accepted else {}
    begins = _first(model, "decoder_start_token_id", "bos_token_id")
    plain = ModelInputs("decoder_input_ids", mask_name=mask, begins=begins, beside=source)
    return [plain, *(replace(plain, beside={**source, **more}) for more in beside_text(model))]


def _first(model: nn.Module, *names: str) -> int | None:
    """The first of these token ids that the model's generation config or config has."""
    configs = (getattr(model, "generation_config", None), getattr(model, "config", None))
    values = (getattr(config, name, None) for name in names for config in configs)
    return next((value for value in values if isinstance(value, int)), None)


def spoils(call: Callable[..., Any], inputs: Mapping[str, Tensor]) -> bool:
    """A call writes into the tensors that it is given, as XGLM does with ``position_ids``; ``inputs`` are not touched.

    A model that cannot be called so is taken not to.
    """
    given = {name: tensor.clone() for name, tensor in inputs.items()}
    with suppress(Exception):
        call(**given)
    return any(not torch.equal(given[name], tensor) for name, tensor in inputs.items())


def parameters_of(module: nn.Module) -> list[str]:
    """The names of what a module's ``forward`` takes, as its class has it: one that somebody wrapped says nothing."""
    return list(inspect.signature(type(module).forward).parameters)[1:]
