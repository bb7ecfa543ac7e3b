"""From a model spec to a loaded model: the subject that every requirement is judged on."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_steering.devices import parse_device, parse_dtype
from pytest_steering.errors import TargetError
from pytest_steering.specs import (
    IMAGE_TEXT,
    TEXT,
    Spec,
    SpecKind,
    check_spec,
    find_callable,
    one_line,
    parse_spec,
)
from pytest_steering.specs import tiny_types

if TYPE_CHECKING:
    from torch._subclasses.fake_tensor import FakeTensorMode

    from pytest_steering.architecture import Architecture


@dataclass
class Target:
    """A loaded model in eval mode, with everything that a requirement needs to know about where it came from.

    ``trained`` says whether the weights come from a checkpoint; what a callable returns counts as untrained, because
    nothing tells. ``fake`` is the mode under which a model without weights runs, and ``notes`` are sentences that
    belong in the report.
    """

    spec: str
    model: nn.Module
    tokenizer: Any = None
    load_seconds: float = 0.0
    fake: FakeTensorMode | None = None
    trained: bool = False
    notes: list[str] = field(default_factory=list)

    @cached_property
    def architecture(self) -> Architecture:
        """The decoder layers, found by data flow; ``ArchitectureError`` when they cannot be told."""
        from pytest_steering.architecture import detect_architecture

        with self.fake or nullcontext():
            return detect_architecture(self.model)

    @property
    def has_weights(self) -> bool:
        """Whether there are values to compute with, and not only shapes."""
        return self.fake is None

    @property
    def device(self) -> torch.device:
        """The device of the input embedding, where token ids go."""
        return self._embedding.device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the first parameter that has one."""
        return next(
            (p.dtype for p in self.model.parameters() if p.is_floating_point()), torch.get_default_dtype()
        )

    @cached_property
    def vocab_size(self) -> int:
        """The number of rows of the input embedding, as measured."""
        return int(self._embedding.shape[0])

    @property
    def pad_token_id(self) -> int:
        """A token id within the vocabulary to fill short rows with: the tokenizer's, the model's, or 0."""
        sources = (
            (self.tokenizer, "pad_token_id"),
            (getattr(self.model, "generation_config", None), "pad_token_id"),
            (getattr(self.model, "config", None), "pad_token_id"),
            (self.tokenizer, "eos_token_id"),
        )
        for source, name in sources:
            value = getattr(source, name, None)
            if isinstance(value, int) and 0 <= value < self.vocab_size:
                return value
        return 0

    @cached_property
    def _embedding(self) -> torch.Tensor:
        embedding = None
        try:
            embedding = self.model.get_input_embeddings()  # type: ignore[operator]
        except (AttributeError, NotImplementedError, TypeError):
            pass
        if not isinstance(getattr(embedding, "weight", None), torch.Tensor):
            embedding = next((m for m in self.model.modules() if isinstance(m, nn.Embedding)), None)
        if embedding is None:
            raise TargetError(
                f"{self.spec}: found no input embedding in {type(self.model).__name__}, so its vocabulary is unknown; "
                "give the model a get_input_embeddings() method"
            )
        weight: torch.Tensor = embedding.weight
        return weight


def load_target(
    spec: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> Target:
    """The model that ``spec`` names, in eval mode, ready to be called.

    Without ``device``, a checkpoint goes to the GPU when there is one that it fits on, a callable's model stays where
    it is, and everything else is on the CPU. Without ``dtype``, the weights keep theirs. ``SpecError`` for a spec that
    cannot be meant, ``TargetError`` for a model that cannot be loaded: one sentence each.
    """
    parsed = parse_spec(spec)
    check_spec(parsed)
    where = parse_device(device) if device else None
    what = parse_dtype(dtype) if dtype else None
    started = time.perf_counter()
    target = _load(parsed, device=where, dtype=what, trust_remote_code=trust_remote_code)
    target.model.eval()
    target.load_seconds = time.perf_counter() - started
    return target


def _load(
    spec: Spec, *, device: torch.device | None, dtype: torch.dtype | None, trust_remote_code: bool
) -> Target:
    if spec.kind is SpecKind.TINY:
        return _tiny(spec, device=device, dtype=dtype)
    if spec.kind is SpecKind.CALLABLE:
        return _called(spec, device=device, dtype=dtype)
    if spec.kind is SpecKind.CONFIG:
        from pytest_steering.shapes import fake_model

        model, mode, notes = fake_model(spec, dtype=dtype, trust_remote_code=trust_remote_code)
        return Target(spec.text, model, fake=mode, notes=notes)
    from pytest_steering.loading import load_checkpoint

    loaded = load_checkpoint(spec, device=device, dtype=dtype, trust_remote_code=trust_remote_code)
    return Target(spec.text, loaded.model, loaded.tokenizer, trained=True, notes=loaded.notes)


def _tiny(spec: Spec, *, device: torch.device | None, dtype: torch.dtype | None) -> Target:
    from pytest_steering.zoo import tiny_model, tiny_tokenizer

    task = TEXT if spec.value in tiny_types(TEXT) else IMAGE_TEXT
    try:
        model = tiny_model(spec.value, task)
    except Exception as error:
        raise TargetError(
            f"{spec.text}: no small instance of this model type can be built: {one_line(error)}"
        ) from error
    return Target(spec.text, _moved(spec, model, device=device, dtype=dtype), tiny_tokenizer())


def _called(spec: Spec, *, device: torch.device | None, dtype: torch.dtype | None) -> Target:
    build = find_callable(spec)
    try:
        result = build()
    except Exception as error:
        raise TargetError(f"{spec.text}: calling it raised {one_line(error)}") from error
    model, tokenizer = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    if not isinstance(model, nn.Module):
        kind = type(result).__name__
        raise TargetError(
            f"{spec.text}: it returned a {kind}; it must return a torch.nn.Module or (model, tokenizer)"
        )
    return Target(spec.text, _moved(spec, model, device=device, dtype=dtype), tokenizer)


def _moved(
    spec: Spec, model: nn.Module, *, device: torch.device | None, dtype: torch.dtype | None
) -> nn.Module:
    try:
        return model.to(device=device, dtype=dtype)
    except Exception as error:
        raise TargetError(
            f"{spec.text}: cannot move the model to {device or 'its device'}: {one_line(error)}"
        ) from error
