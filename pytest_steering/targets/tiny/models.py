"""Tiny random instances of transformers' architectures, made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import nn

from pytest_steering.byte_tokenizer import BOS, PAD
from pytest_steering.errors import SpecError, TargetError, one_line
from pytest_steering.importing import unwarned
from pytest_steering.targets.quiet import quiet_transformers
from pytest_steering.targets.spec import TEXT, Task, tiny_types, unknown_type
from pytest_steering.targets.tiny.shrink import shrunk
from pytest_steering.targets.tiny.sizes import SMALL, Sizes

_MOST_PARAMETERS = 20_000_000


@unwarned()
def tiny_model(model_type: str, task: Task = TEXT, seed: int = 0, *, sizes: Sizes = SMALL) -> nn.Module:
    """A random instance of ``model_type`` with four decoder layers, 32 wide, in float32 and eval mode.

    The same seed gives the same weights, and the global random state is untouched. Greedy generation never
    stops early: ``generation_config`` has a padding id and no end-of-sequence id. A ``model_type`` that
    transformers does not know for ``task`` raises ``SpecError``; one that would not be small, ``TargetError``.
    """
    config = tiny_config(model_type, task, sizes)
    build = _builder(model_type, config, task)
    count = _count(config, build)
    if count is not None and count > _MOST_PARAMETERS:
        raise TargetError(
            f"tiny:{model_type}: it would have {count / 1e6:.0f} M parameters, because no rule shrinks all its sizes; "
            "use config:DIRECTORY to check shapes"
        )
    return _random_model(build, config, seed)


@unwarned()
def check_sizes(text: str, model_type: str, task: Task, sizes: Sizes) -> None:
    """The model that the spec ``text`` names can be built in these sizes and is small; otherwise ``SpecError``."""
    try:
        config = tiny_config(model_type, task, sizes)
        count = _count(config, _builder(model_type, config, task), strict=_is_countable(model_type, task))
    except Exception as error:
        raise SpecError(
            f"{text}: {model_type} cannot be built in these sizes: {one_line(error)[:200]}; give others, or none"
        ) from error
    if count is not None and count > _MOST_PARAMETERS:
        raise SpecError(
            f"{text}: it would have {count / 1e6:.0f} M parameters, and a small model has at most "
            f"{_MOST_PARAMETERS / 1e6:.0f} M; give fewer layers or a smaller hidden, or the directory of a checkpoint"
        )


def _is_countable(model_type: str, task: Task) -> bool:
    """Whether the model that is built without asking for sizes can be built without values."""
    config = tiny_config(model_type, task)
    return _count(config, _builder(model_type, config, task)) is not None


def random_model(config: Any, task: Task = TEXT, seed: int = 0) -> nn.Module:
    """A model of exactly this configuration, with the random weights of ``seed``, as :func:`tiny_model` makes."""
    return _random_model(_auto(task).from_config, config, seed)


def _random_model(build: Callable[..., Any], config: Any, seed: int) -> nn.Module:
    with quiet_transformers(), _seeded(seed):
        model: Any = build(config, dtype=torch.float32)
    model.generation_config = transformers.GenerationConfig(
        pad_token_id=PAD, bos_token_id=BOS, decoder_start_token_id=BOS
    )
    built: nn.Module = model.eval()
    return built


def tiny_config(model_type: str, task: Task = TEXT, sizes: Sizes = SMALL) -> Any:
    """The configuration of :func:`tiny_model`: the architecture's own class with every size shrunk."""
    config_class = _config_class(model_type, task)
    with quiet_transformers():
        config = config_class(**shrunk(config_class, sizes=sizes))
    if task == TEXT:
        # A decoder alone, and causal: an encoder family's model looks ahead unless told that it is one.
        if hasattr(config, "is_decoder") or getattr(config, "is_encoder_decoder", False):
            config.is_decoder = True
        if hasattr(config, "is_encoder_decoder"):
            config.is_encoder_decoder = False
    return config


def _config_class(model_type: str, task: Task) -> Any:
    known = tiny_types(task)
    if model_type not in known:
        raise SpecError(unknown_type(model_type, known))
    config_class = transformers.CONFIG_MAPPING[model_type]
    if task != TEXT:
        return config_class
    # A family's name (gemma3) means its text decoder here; the image model is another task.
    parts = getattr(config_class, "sub_configs", {})
    text_class = parts.get("text_config")
    if text_class is not None and text_class in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        return text_class
    decoder_class = _model_class(model_type, task).config_class
    return decoder_class if decoder_class in parts.values() else config_class


def _builder(model_type: str, config: Any, task: Task) -> Callable[..., Any]:
    """What makes a model of ``config``: also of a part that transformers maps to no model, like a music decoder."""
    auto = _auto(task)
    if type(config) in auto._model_mapping:
        return auto.from_config  # type: ignore[no-any-return]
    return _model_class(model_type, task)._from_config  # type: ignore[no-any-return]


def _model_class(model_type: str, task: Task) -> Any:
    with quiet_transformers():  # it imports the model's code
        found = _auto(task)._model_mapping[transformers.CONFIG_MAPPING[model_type]]
    return found[0] if isinstance(found, tuple) else found


def _count(config: Any, build: Callable[..., Any], *, strict: bool = False) -> int | None:
    """How many parameters the model has, before memory is gone.

    A model that cannot be built without values, or not at all, is not counted: building it will tell. With
    ``strict``, what it raises is raised.
    """
    with quiet_transformers(), _seeded(0), torch.device("meta"):
        try:
            model: Any = build(config)
        except Exception:
            if strict:
                raise
            return None
    count: int = sum(parameter.numel() for parameter in model.parameters())
    return count


def _auto(task: Task) -> Any:
    return transformers.AutoModelForCausalLM if task == TEXT else transformers.AutoModelForImageTextToText


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """CPU draws come from ``seed``; the global state is put back, and that of other devices never moves."""
    state = torch.random.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(state)
