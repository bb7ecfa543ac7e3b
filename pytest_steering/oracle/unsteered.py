"""What the model does by itself, measured on it: its runs, its noise, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import pairwise, starmap
from operator import attrgetter
from typing import Any, Self

import torch
from torch import Tensor

from pytest_steering.architecture.compiled import eager
from pytest_steering.architecture.inputs import cache_in, spoils
from pytest_steering.architecture.modes import training
from pytest_steering.architecture.observation import Trace
from pytest_steering.architecture.weights import plain_parts
from pytest_steering.errors import one_line
from pytest_steering.oracle import runs
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.forcing import forced
from pytest_steering.oracle.inputs import Prompts, zero_mean
from pytest_steering.oracle.model_state import model_state
from pytest_steering.oracle.own_changes import Entry, entries_changed
from pytest_steering.oracle.reference import reference
from pytest_steering.oracle.store import Store
from pytest_steering.oracle.tolerance import coarsest, furthest, rounding
from pytest_steering.targets.memory import Workload, plan_workload
from pytest_steering.targets.target import Target

_COARSE = (torch.float16, torch.bfloat16)


class Unsteered:
    """The unsteered model: each batch is run once and kept, each fact is measured when it is asked for."""

    def __init__(self, target: Target, prompts: Prompts, workload: Workload) -> None:
        self.target = target
        self.architecture = target.architecture
        self.prompts = prompts
        self.workload = workload
        self.calls: Store[Any] = Store(attrgetter("bytes"))
        """What each call under the reference implementation did."""
        self.expected: Store[Trace] = Store(attrgetter("bytes"))
        """What each forward pass under the reference implementation did."""
        self._runs: Store[Trace] = Store(attrgetter("bytes"))

    @classmethod
    def of(cls, target: Target) -> Self:
        """The unsteered model of a target, with prompts of its own."""
        architecture = target.architecture
        workload = plan_workload(
            target.model,
            hidden_size=architecture.hidden_size,
            num_layers=architecture.num_layers,
            vocab_size=target.vocab_size,
            device=target.device,
        )
        return cls(target, Prompts(target, workload), workload)

    # Runs

    def run(self, inputs: Mapping[str, Tensor]) -> Trace:
        """The forward pass of ``inputs``, watched after every layer."""
        key = repr([(name, tensor.tolist()) for name, tensor in inputs.items()])
        return self._runs.once(key, lambda: self.run_again(inputs))

    def run_again(self, inputs: Mapping[str, Tensor]) -> Trace:
        """Another forward pass."""
        given = self.given(inputs)
        with runs.running(self.target):
            return runs.forward(self.target, self.target.model, given, inside=self.target.has_weights)

    def generate(self, inputs: Mapping[str, Tensor], **options: Any) -> Tensor:
        """The sequences that the model generates."""
        with runs.running(self.target):
            trace = runs.generate(self.target, self.target.model, inputs, workload=self.workload, options=options)
        sequences: Tensor = trace.result
        return sequences

    def replay(self, sequences: Tensor, inputs: Mapping[str, Tensor], layers: Sequence[int], **options: Any) -> Trace:
        """``generate`` made to choose the tokens of ``sequences``: the passes of a steered one, nothing added."""
        options = {**options, "logits_processor": forced(sequences)}
        with runs.running(self.target):
            return runs.generate(
                self.target,
                self.target.model,
                inputs,
                workload=self.workload,
                layers=layers,
                options=options,
                inside=True,
            )

    def given(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What a run is called with: a copy where the model itself would spoil it for the next run."""
        if not self.spoils_inputs:
            return inputs
        return {name: tensor.clone() for name, tensor in inputs.items()}

    # Measures

    def residual_size(self, layer: int) -> float:
        """Root mean square of the residual stream after ``layer``; 1 without weights."""
        if self.target.fake is not None:
            return 1.0
        received = self.run(self.prompts.batch()).received(layer).double()
        return float(received.square().mean().sqrt()) or 1.0

    def floor(self, layer: int) -> float:
        """How far two runs of the same batch lie apart after ``layer``: 0 on most machines."""
        return self._floors[layer]

    def need_repeatable(self) -> None:
        """Two runs are bit-equal, or bit-equality cannot be asked of steered ones."""
        if any(self._floors.values()):
            not_applicable("two unsteered runs of the same batch are not bit-equal on this device")

    @cached_property
    def noise(self) -> str:
        """How far the model itself strays from run to run, where that is more than rounding; empty where it is not."""
        for layer, floor in self._floors.items():
            if floor > rounding(self.run(self.prompts.batch()).received(layer)):
                return f"two unsteered runs of the same batch differ by {floor:.1e} after layer {layer}"
        return ""

    @cached_property
    def computed_in(self) -> torch.dtype:
        """The dtype whose rounding is that of the whole model: its layers' own as a rule.

        A coarser one where a nudge of the residual stream by its last digits moves the logits further than rounding
        does, as in a model that quantises what it computes with.
        """
        stated = coarsest(*(layer.dtype for layer in self.architecture.decoder_layers))
        if self.target.fake is not None:
            return stated
        coarser = [dtype for dtype in _COARSE if torch.finfo(dtype).eps > torch.finfo(stated).eps]
        plain = self.run(self.prompts.batch()).result
        moved = max((self._nudged(plain, seed) for seed in range(3)), default=0.0) if coarser else 0.0
        if moved <= 8 * rounding(plain, dtype=stated):
            return stated
        # What is quantised moves in steps: by how far, each nudge tells another story.
        return next((dtype for dtype in coarser if 4 * moved <= rounding(plain, dtype=dtype)), coarser[-1])

    def _nudged(self, plain: Tensor, seed: int) -> float:
        """How far the logits move when the last digits of what one layer emits are others."""
        architecture, batch = self.architecture, self.prompts.batch()
        layer = seed * (architecture.num_layers - 1) // 2
        size = self.residual_size(layer) * torch.finfo(architecture.decoder_layers[layer].dtype).eps
        delta = zero_mean(architecture.hidden_size, seed).double() * size
        with runs.running(self.target), reference(architecture, {layer: delta}):
            return furthest(runs.forward(self.target, self.target.model, self.given(batch)).result, plain)

    @cached_property
    def changes(self) -> frozenset[Entry]:
        """What the model itself changes of itself whenever it is called or generates, in either mode, with gradients or
        without."""
        if self.target.fake is not None:
            return frozenset()
        found = self._changed()
        if self.trains:
            with training(self.target.model):
                found |= self._changed()
        return found

    @cached_property
    def trains(self) -> bool:
        """Whether a pass in training mode runs: some models train on whole sequences only, or not at all."""
        if self.target.fake is not None:
            return False
        with suppress(Exception), training(self.target.model):
            self.run_again(self.prompts.batch())
            return True
        return False

    def _changed(self) -> frozenset[Entry]:
        states = []
        inputs = self.prompts.batch()
        for _ in range(2):
            self.run_again(inputs)
            if not self.cannot_generate:
                self.generate(inputs, max_new_tokens=2, min_new_tokens=2)
            states.append(model_state(self.target.model))
        with suppress(Exception), eager(self.target.model), torch.enable_grad():  # some know no gradients
            self.target.model(**self.given(inputs))
            states.append(model_state(self.target.model))
        return frozenset().union(*starmap(entries_changed, pairwise(states)))

    @cached_property
    def not_a_number(self) -> str:
        """Why the model computes NaN, and what to do; empty where it does not."""
        if not self.run(self.prompts.batch()).result.isnan().any():
            return ""
        for name, weight in self.target.model.named_parameters():
            parts = (part for part in plain_parts(weight.detach()) if part.dtype.is_floating_point and not part.is_meta)
            bad = sum(int(part.float().isnan().sum()) for part in parts)
            if bad:
                return f"{name} holds {bad} NaN values of {weight.numel()}, so the model computes NaN; mend its weights"
        dtype = coarsest(*(layer.dtype for layer in self.architecture.decoder_layers))
        if dtype.itemsize < torch.float32.itemsize:
            return f"the model computes NaN in {dtype}; run it in a wider dtype (--steering-dtype=float32)"
        return f"the model computes NaN in {dtype} from weights that hold none; mend what it computes"

    @cached_property
    def cannot_repeat_training(self) -> str:
        """Why passes in training mode tell nothing of each other; empty where two alike compute the same.

        A spectral norm takes another step in each, and so does what follows the load of experts.
        """
        if not self.trains:
            return ""
        with training(self.target.model), torch.random.fork_rng(devices=[]):
            results = []
            for _ in range(2):
                torch.manual_seed(0)
                results.append(self.run_again(self.prompts.batch()).result)
        return "" if torch.equal(*results) else "two unsteered passes in training mode, one after the other, differ"

    @cached_property
    def spoils_inputs(self) -> bool:
        """Whether the model itself writes into the tensors that it is called with."""
        if self.target.fake is not None:
            return False
        inputs = self.prompts.padded("left") if self.prompts.masked else self.prompts.batch()
        with runs.running(self.target):
            return spoils(self.target.model, inputs)

    @cached_property
    def _floors(self) -> dict[int, float]:
        every_layer = self.target.architecture.every_layer
        if self.target.fake is not None:
            return dict.fromkeys(every_layer, 0.0)
        batch = self.prompts.batch()
        first, second = self.run(batch), self.run_again(batch)
        return {layer: furthest(first.received(layer), second.received(layer)) for layer in every_layer}

    # What it cannot do

    @cached_property
    def cannot_generate(self) -> str:
        """Why the model generates nothing after a batch of prompts; empty when it does."""
        name = type(self.target.model).__name__
        if not hasattr(self.target.model, "generate"):
            return f"{name} has no generate"
        inputs = self.prompts.batch()
        rows, columns = self.prompts.ids(inputs).shape
        wanted = (rows, columns + self.workload.new_tokens)
        try:
            with runs.running(self.target):
                trace = runs.generate(self.target, self.target.model, inputs, workload=self.workload, options={})
            found = tuple(trace.result.shape)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            return f"{name} itself cannot generate from token ids: {one_line(error)[:200]}"
        if not trace.passes:
            around = self.architecture.entry_name or "the whole model"
            return f"{name}.generate goes around {around}, where its forward passes begin, so none of them is seen"
        return "" if found == wanted else f"{name} itself generates shape {found} instead of {wanted}"

    @cached_property
    def forgets(self) -> str:
        """Why a call cannot go on from the caller's cache; empty when it can, or when that cannot be told."""
        ids = self.prompts.ids(self.prompts.batch())
        middle = ids.shape[1] // 2
        call, inputs = self.target.model, self.architecture.model_inputs.inputs
        with suppress(Exception), runs.running(self.target):
            cache = cache_in(call(**inputs(ids[:, :middle]), use_cache=True))
            held = int(cache.get_seq_length())
            after = cache_in(call(**inputs(ids[:, middle:]), past_key_values=cache, use_cache=True))
            if int(after.get_seq_length()) < held + ids.shape[1] - middle:
                return f"{type(call).__name__} itself throws away the cache that it is given"
        return ""

    @cached_property
    def cannot_replay(self) -> str:
        """Why the model cannot be made to generate given tokens; empty when it can."""
        inputs = self.prompts.batch()
        columns = self.prompts.ids(inputs).shape[1]
        wanted = self.generate(inputs).clone()
        # Others than it would choose itself; there may be more embeddings than logits.
        choices, pad = self.run(inputs).result.shape[-1], self.target.pad_token_id
        wanted[:, columns:] = (wanted[:, columns:] + 1) % choices
        wanted[:, columns:][wanted[:, columns:] == pad] = (pad + 1) % choices
        if torch.equal(self.replay(wanted, inputs, ()).result, wanted):
            return ""
        return (
            f"{type(self.target.model).__name__}.generate cannot be made to choose given tokens, so there is no "
            "unsteered run to compare with: it ignores logits processors"
        )
