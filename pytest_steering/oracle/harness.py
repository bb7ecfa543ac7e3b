"""One model under one adapter: the batches, the vectors, the runs that requirements are judged on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.adapters.protocol import Factory, SteeringAdapter
from pytest_steering.architecture.inputs import spoils
from pytest_steering.architecture.observation import Trace, observe
from pytest_steering.architecture.residual import logits_of
from pytest_steering.errors import AdapterError, one_line
from pytest_steering.oracle.applicability import lacking
from pytest_steering.oracle.forcing import forced
from pytest_steering.oracle.inputs import Prompts, zero_mean
from pytest_steering.oracle.reference import reference
from pytest_steering.oracle.timing import seconds_of
from pytest_steering.oracle.tolerance import furthest
from pytest_steering.steering.plan import Positions, SteeringPlan
from pytest_steering.targets.memory import plan_workload
from pytest_steering.targets.target import Target


class Harness:
    """What every requirement needs: the subject, its inputs, and steered, unsteered and expected runs of it."""

    def __init__(self, target: Target, adapter: SteeringAdapter, build: Factory) -> None:
        """``build`` makes an adapter like ``adapter`` for another model."""
        self.target = target
        self.adapter = adapter
        self._build = build
        self.model = target.model
        self.architecture = target.architecture
        self.workload = plan_workload(
            self.model,
            hidden_size=self.architecture.hidden_size,
            num_layers=self.architecture.num_layers,
            vocab_size=target.vocab_size,
            device=target.device,
        )
        self.prompts = Prompts(target, self.workload)
        self._plain: dict[str, Trace] = {}
        self.kept: dict[str, Any] = {}
        """What one requirement has found out and others want to know, by a name of its own."""

    def twin(self, model: nn.Module) -> Harness:
        """The same harness of another model: an architecture and an adapter of its own."""
        target = replace(self.target, model=model)
        return Harness(target, self._build(model, target.architecture), self._build)

    def can(self, need: str) -> bool:
        """The model and the adapter have what ``need`` names."""
        return not lacking(self, [need])

    # What is steered

    def layers(self, where: str) -> list[int]:
        """The decoder layers that ``first``, ``middle`` or ``last`` stands for.

        The middle brings along one layer of each block class that the other places leave out.
        """
        last = self.architecture.num_layers - 1
        if where == "first":
            return [0]
        if where == "last":
            return [last]
        chosen = [last // 2 + last % 2]
        classes = self.architecture.block_classes
        seen = {classes[index] for index in (0, *chosen, last)}
        for index, name in enumerate(classes):
            if name not in seen:
                seen.add(name)
                chosen.append(index)
        return sorted(chosen)

    def vector(self, layer: int, seed: int = 0) -> Tensor:
        """A seeded zero-mean steering vector as large as the residual stream after ``layer``: float32, on the CPU.

        Zero mean, because a constant vanishes under LayerNorm; as large as the residual stream, because a small one
        is absorbed by rounding in half precision.
        """
        return zero_mean(self.architecture.hidden_size, 1000 * layer + seed) * self.residual_size(layer)

    def residual_size(self, layer: int) -> float:
        """Root mean square of the unsteered residual stream after ``layer``; 1 without weights."""
        if self.target.fake is not None:
            return 1.0
        received = self.plain(self.prompts.batch()).received(layer).double()
        return float(received.square().mean().sqrt()) or 1.0

    def plan(
        self,
        layers: Sequence[int],
        scale: float = 1.0,
        positions: Positions = Positions.ALL,
        *,
        seed: int = 0,
    ) -> SteeringPlan:
        """A plan with a vector of its own for each layer."""
        return SteeringPlan({layer: self.vector(layer, seed) for layer in layers}, scale, positions)

    # Runs

    @contextmanager
    def running(self) -> Iterator[None]:
        """Without gradients, and under the fake mode of a model without weights.

        To be entered inside ``steering``: an adapter prepares on real vectors, only the model runs without values.
        """
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            if self.target.fake is not None:
                stack.enter_context(self.target.fake)
            yield

    @contextmanager
    def steering(self, plan: SteeringPlan) -> Iterator[Any]:
        """The adapter's block; what it yields must be callable."""
        context = self.adapter.steer(plan)
        if not hasattr(context, "__enter__"):
            raise AdapterError(
                f"adapter {self.adapter.name}: steer(plan) returned a {type(context).__name__}, not a context manager"
            )
        with context as steered:
            if not callable(steered):
                raise AdapterError(
                    f"adapter {self.adapter.name}: steer(plan) yields a {type(steered).__name__}, which cannot be "
                    "called like the model: yield the steered model"
                )
            yield steered

    def plain(self, inputs: Mapping[str, Tensor]) -> Trace:
        """The unsteered forward pass of ``inputs``, watched after every layer; each batch is run once."""
        key = repr([(name, tensor.tolist()) for name, tensor in inputs.items()])
        if key not in self._plain:
            self._plain[key] = self.plain_again(inputs)
        return self._plain[key]

    def plain_again(self, inputs: Mapping[str, Tensor]) -> Trace:
        """Another unsteered forward pass."""
        given = self._given(inputs)
        with self.running():
            return observe(
                self.architecture,
                self.every_layer,
                lambda: self._logits(self.model, given),
                inside=self.target.has_weights,
            )

    def steered(self, plan: SteeringPlan, inputs: Mapping[str, Tensor]) -> Trace:
        """The forward pass of ``inputs`` under the adapter, watched after every layer."""
        given = self._given(inputs)
        with self.steering(plan) as steered, self.running():
            return observe(self.architecture, self.every_layer, lambda: self._logits(steered, given))

    def expected(self, plan: SteeringPlan, inputs: Mapping[str, Tensor], where: Tensor | None = None) -> Trace:
        """The forward pass steered by the reference implementation, watched after every layer.

        The watch stands behind the push: what is seen is what the next module computes with.
        """
        if where is None and plan.positions is not Positions.ALL:
            where = self.prompts.steered_tokens(inputs, plan.positions)
        if where is None and self.prompts.mask(inputs) is not None:
            where = self.prompts.real(inputs)
        given = self._given(inputs)
        with self.running(), reference(self.architecture, self.deltas(plan), where):
            return observe(self.architecture, self.every_layer, lambda: self._logits(self.model, given))

    def deltas(self, plan: SteeringPlan) -> dict[int, Tensor]:
        """``scale * vector`` of each steered layer in double precision."""
        return {layer: vector.double() * plan.scale for layer, vector in plan.vectors.items()}

    @property
    def every_layer(self) -> range:
        """The index of every decoder layer."""
        return range(self.architecture.num_layers)

    def _given(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What a run is called with: a copy where the model itself would spoil it for the next run."""
        if not self.spoils_inputs:
            return inputs
        return {name: tensor.clone() for name, tensor in inputs.items()}

    @cached_property
    def spoils_inputs(self) -> bool:
        """Whether the unsteered model itself writes into the tensors that it is called with."""
        if self.target.fake is not None:
            return False
        inputs = self.prompts.padded("left") if self.prompts.masked else self.prompts.batch()
        with self.running():
            return spoils(self.model, inputs)

    @staticmethod
    def _logits(call: Any, inputs: Mapping[str, Tensor]) -> Tensor:
        return logits_of(call(**inputs))

    # Generation

    def generated(self, plan: SteeringPlan, inputs: Mapping[str, Tensor], **options: Any) -> Trace:
        """``generate`` under the adapter; the result is the sequences, ``(rows, columns)``."""
        with self.steering(plan) as steered, self.running():
            return self._generate(steered, inputs, tuple(plan.vectors), options)

    def replayed(self, sequences: Tensor, inputs: Mapping[str, Tensor], layers: Sequence[int], **options: Any) -> Trace:
        """Unsteered ``generate`` made to choose the tokens of ``sequences``: the same passes, nothing added."""
        with self.running():
            options = {**options, "logits_processor": forced(sequences)}
            return self._generate(self.model, inputs, layers, options, inside=True)

    def generated_plain(self, inputs: Mapping[str, Tensor], **options: Any) -> Tensor:
        """The sequences that the unsteered model generates."""
        with self.running():
            sequences: Tensor = self._generate(self.model, inputs, (), options).result
            return sequences

    @cached_property
    def cannot_generate(self) -> str:
        """Why the unsteered model generates nothing after a batch of prompts; empty when it does."""
        name = type(self.model).__name__
        if not hasattr(self.model, "generate"):
            return f"{name} has no generate"
        inputs = self.prompts.batch()
        rows, columns = self.prompts.ids(inputs).shape
        wanted = (rows, columns + self.workload.new_tokens)
        try:
            found = tuple(self.generated_plain(inputs).shape)
        except Exception as error:
            return f"{name} itself cannot generate from token ids: {one_line(error)[:200]}"
        return "" if found == wanted else f"{name} itself generates shape {found} instead of {wanted}"

    @cached_property
    def cannot_replay(self) -> str:
        """Why the unsteered model cannot be made to generate given tokens; empty when it can."""
        inputs = self.prompts.batch()
        columns = self.prompts.ids(inputs).shape[1]
        wanted = self.generated_plain(inputs).clone()
        # Others than it would choose itself; there may be more embeddings than logits.
        choices = self.plain(inputs).result.shape[-1]
        wanted[:, columns:] = (wanted[:, columns:] + 1) % choices
        wanted[:, columns:][wanted[:, columns:] == self.target.pad_token_id] = (self.target.pad_token_id + 1) % choices
        if torch.equal(self.replayed(wanted, inputs, ()).result, wanted):
            return ""
        return (
            f"{type(self.model).__name__}.generate cannot be made to choose given tokens, so there is no unsteered run "
            "to compare with: it ignores logits processors"
        )

    def generated_expected(self, plan: SteeringPlan, inputs: Mapping[str, Tensor], **options: Any) -> Trace:
        """``generate`` under the reference implementation, at every token."""
        with self.running(), reference(self.architecture, self.deltas(plan)):
            return self._generate(self.model, inputs, tuple(plan.vectors), options)

    def _generate(
        self,
        call: Any,
        inputs: Mapping[str, Tensor],
        layers: Sequence[int],
        options: Mapping[str, Any],
        *,
        inside: bool = False,
    ) -> Trace:
        tokens = self.workload.new_tokens
        settings = {
            "do_sample": False,
            "max_new_tokens": tokens,
            "min_new_tokens": tokens,
            "pad_token_id": self.target.pad_token_id,
            **options,
        }
        return observe(self.architecture, tuple(layers), lambda: call.generate(**inputs, **settings), inside=inside)

    # Measures

    def floor(self, layer: int) -> float:
        """How far two unsteered runs of the same batch lie apart after ``layer``: 0 on most machines."""
        return self._floors[layer]

    @cached_property
    def _floors(self) -> dict[int, float]:
        if self.target.fake is not None:
            return dict.fromkeys(self.every_layer, 0.0)
        batch = self.prompts.batch()
        first, second = self.plain(batch), self.plain_again(batch)
        return {layer: furthest(first.received(layer), second.received(layer)) for layer in self.every_layer}

    @cached_property
    def seconds_per_pass(self) -> float:
        """Wall seconds of one watched unsteered pass, the second of two."""
        batch = self.prompts.batch()
        self.plain(batch)
        return seconds_of(lambda: self.plain_again(batch), self.target.device)
