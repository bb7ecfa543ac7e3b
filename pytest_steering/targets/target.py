"""From a model spec to a loaded model: the subject that every requirement is judged on."""

from __future__ import annotations

import contextlib
import copy
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pytest_steering.architecture.weights import device_of
from pytest_steering.byte_tokenizer import tiny_tokenizer
from pytest_steering.errors import TargetError, one_line
from pytest_steering.targets import peft_adapter
from pytest_steering.targets.devices import parse_device, parse_dtype
from pytest_steering.targets.loading import load_checkpoint
from pytest_steering.targets.memory import give_back, small
from pytest_steering.targets.placing import Placing, places_of
from pytest_steering.targets.sharding import Sharding
from pytest_steering.targets.spec import Spec, SpecKind, check_spec, find_callable, parse_spec, sizes_of, tiny_of
from pytest_steering.targets.tiny.models import tiny_model
from pytest_steering.targets.weightless import fake_model

if TYPE_CHECKING:
    from pytest_steering.architecture.model import Architecture


@dataclass(eq=False)
class Target:
    """A loaded model in eval mode, with what a requirement needs to know about where it came from.

    ``trained`` says whether the weights come from a checkpoint; what a callable returns counts as untrained,
    because nothing tells. ``fake`` is the mode under which a model without weights runs, and ``notes`` are
    sentences that belong in the report.
    """

    spec: str
    model: nn.Module
    tokenizer: Any = None
    load_seconds: float = 0.0
    fake: FakeTensorMode | None = None
    trained: bool = False
    notes: list[str] = field(default_factory=list)
    sharding: Sharding | None = None
    """How it is spread over the ranks of this run, where it is."""

    def __repr__(self) -> str:
        return f"Target({self.spec!r})"

    @cached_property
    def architecture(self) -> Architecture:
        """The decoder layers, found by data flow; ``ArchitectureError`` when they cannot be told."""
        from pytest_steering.architecture.detection import detect_architecture  # noqa: PLC0415 (needed only when asked)

        with self.fake or contextlib.nullcontext():
            return detect_architecture(self.model)

    def find_again(self, because: str) -> None:
        """The decoder layers are found anew where one that was found no longer stands in its place.

        ``because`` says what happened since; it goes into a note. ``ArchitectureError`` when they are not found.
        """
        found: Architecture | None = vars(self).get("architecture")
        if found is None:
            return
        watched = {found.entry_name: found.entry}
        for decoder_layer in found.decoder_layers:
            watched[decoder_layer.name] = decoder_layer.module
            if decoder_layer.receiver is not None:
                watched[decoder_layer.receiver_name] = decoder_layer.receiver
        places = dict(self.model.named_modules(remove_duplicate=False))
        if all(places.get(name) is module for name, module in watched.items()):
            return
        del self.architecture
        self.notes.append(f"{because}, modules of the model are others: found again at {self.architecture.layers_path}")

    def copied(self) -> nn.Module:
        """Another model like it; what cannot be copied (sharded weights, locks, open files) raises why.

        Of a large model both have the same matrices, to which no adapter writes, and each has biases and norms of its
        own.
        """
        if self.sharding is not None:
            raise TargetError("it is spread over several ranks, and a rank alone copies no more than its part")
        if self.small:
            return copy.deepcopy(self.model)
        give_back()
        return copy.deepcopy(self.model, {id(item): item for item in self.model.parameters() if item.ndim > 1})

    @cached_property
    def small(self) -> bool:
        """Whether it is asked everything: each of its passes is cheap."""
        return small(self.model)

    @property
    def has_weights(self) -> bool:
        """Whether there are values to compute with, and not only shapes."""
        return self.fake is None

    @property
    def device(self) -> torch.device:
        """The device of the input embedding, where token ids go."""
        return device_of(self._embedding)

    @property
    def place(self) -> str:
        """Where its weights are: a device, or the kinds of places that accelerate has spread them over."""
        return self.sharding.place if self.sharding else "+".join(places_of(self.model)) or str(self.device)

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the input embedding, in which the residual stream starts."""
        return self._embedding.weight.dtype

    @cached_property
    def vocab_size(self) -> int:
        """The number of rows of the input embedding, as measured."""
        return int(self._embedding.weight.shape[0])

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

    @property
    def _embedding(self) -> nn.Embedding:
        embedding: Any = None
        with contextlib.suppress(AttributeError, NotImplementedError, TypeError):
            embedding = self.model.get_input_embeddings()  # type: ignore[operator]
        if not isinstance(getattr(embedding, "weight", None), torch.Tensor):
            embedding = next((m for m in self.model.modules() if isinstance(m, nn.Embedding)), None)
        if embedding is None:
            raise TargetError(
                f"{self.spec}: {type(self.model).__name__} has no input embedding, so its vocabulary is unknown; "
                "give it a method get_input_embeddings() that returns a torch.nn.Embedding"
            )
        found: nn.Embedding = embedding
        return found


def load_target(
    spec: str | Spec,
    *,
    device: str | None = None,
    device_map: str | None = None,
    parallel: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
) -> Target:
    """The model that ``spec`` names, in eval mode, ready to be called.

    Without ``device``, a checkpoint goes to the GPU when there is one that it fits on, a callable's model
    stays where it is, and everything else is on the CPU. With ``device_map`` accelerate spreads it, whatever it
    is; with ``parallel`` it is spread over the ranks of this run. Without ``dtype``, the weights keep theirs.
    ``SpecError`` for a spec that cannot be meant, ``TargetError`` for a model that cannot be loaded: one
    sentence each.
    """
    parsed = spec if isinstance(spec, Spec) else parse_spec(spec)
    check_spec(parsed)
    request = _Request(
        parsed,
        parse_device(device) if device else None,
        parse_dtype(dtype) if dtype else None,
        trust_remote_code,
        Sharding(parallel) if parallel else Placing(device_map) if device_map else None,
    )
    started = time.perf_counter()
    target = _LOADERS[parsed.kind](request)
    target.model.eval()
    target.sharding = request.placing if isinstance(request.placing, Sharding) else None
    target.load_seconds = time.perf_counter() - started
    return target


@dataclass(frozen=True)
class _Request:
    spec: Spec
    device: torch.device | None
    dtype: torch.dtype | None
    trust_remote_code: bool
    placing: Placing | Sharding | None = None


def _tiny(request: _Request) -> Target:
    spec = request.spec
    try:
        model = tiny_model(*tiny_of(spec), sizes=sizes_of(spec))
    except TargetError:
        raise
    except Exception as error:
        raise TargetError(
            f"{spec.text}: no small instance of this model type can be built: {one_line(error)}"
        ) from error
    return _settled(request, model, tiny_tokenizer())


def _called(request: _Request) -> Target:
    spec = request.spec
    build = find_callable(spec)
    try:
        result = build()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also SystemExit, and what pytest skips and ends by
        raise TargetError(f"{spec.text}: calling it raised {one_line(error)}") from error
    model, tokenizer = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    if not isinstance(model, nn.Module):
        raise TargetError(
            f"{spec.text}: it returned an object of type {type(result).__name__}; "
            "it must return a torch.nn.Module or (model, tokenizer)"
        )
    return _settled(request, model, tokenizer)


def _shapes(request: _Request) -> Target:
    model, mode, note = fake_model(request.spec, dtype=request.dtype, trust_remote_code=request.trust_remote_code)
    return Target(request.spec.text, model, fake=mode, notes=[note])


def _checkpoint(request: _Request) -> Target:
    if peft_adapter.is_adapter(request.spec):
        return _with_adapter(request)
    loaded = load_checkpoint(
        request.spec,
        device=request.device,
        dtype=request.dtype,
        trust_remote_code=request.trust_remote_code,
        placing=request.placing,
    )
    return Target(request.spec.text, loaded.model, loaded.tokenizer, trained=True, notes=loaded.notes)


def _with_adapter(request: _Request) -> Target:
    spec, base = request.spec, peft_adapter.base_of(request.spec)
    target = _LOADERS[base.kind](replace(request, spec=base))
    model = peft_adapter.put_on(spec, target.model, trust_remote_code=request.trust_remote_code)
    notes = [peft_adapter.note(base, model), *target.notes]
    return replace(target, spec=spec.text, model=model, trained=True, notes=notes)


def _settled(request: _Request, model: nn.Module, tokenizer: Any) -> Target:
    """A model that was built here, where it is to be."""
    model = _moved(request, model)
    if request.placing is None:
        return Target(request.spec.text, model, tokenizer)
    model = request.placing.spread(request.spec.text, model)
    return Target(request.spec.text, model, tokenizer, notes=[str(request.placing)])


def _moved(request: _Request, model: nn.Module) -> nn.Module:
    if request.device is None and request.dtype is None:
        return model
    try:
        return model.to(device=request.device, dtype=request.dtype)
    except Exception as error:
        wanted = " and ".join(str(item) for item in (request.device, request.dtype) if item is not None)
        raise TargetError(f"{request.spec.text}: moving the model to {wanted} failed: {one_line(error)}") from error


_LOADERS = {
    SpecKind.TINY: _tiny,
    SpecKind.CALLABLE: _called,
    SpecKind.CONFIG: _shapes,
    SpecKind.DIRECTORY: _checkpoint,
    SpecKind.GGUF: _checkpoint,
    SpecKind.HUB: _checkpoint,
}
