"""One target under one adapter: steered runs, and runs steered by the reference implementation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from pytest_steering.adapters.protocol import Factory, SteeringAdapter
from pytest_steering.architecture.observation import Trace
from pytest_steering.errors import AdapterError
from pytest_steering.oracle import runs
from pytest_steering.oracle.applicability import not_applicable
from pytest_steering.oracle.figures import Figures
from pytest_steering.oracle.model_state import Snapshot
from pytest_steering.oracle.plans import Plans
from pytest_steering.oracle.process_settings import process_settings, put_back
from pytest_steering.oracle.reference import deltas_of, reference
from pytest_steering.oracle.tolerance import coarsest
from pytest_steering.oracle.unsteered import Unsteered
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import Positions, SteeringPlan
from pytest_steering.targets.target import Target


@dataclass(frozen=True)
class Ran:
    """A steered run that was asked for: a forward pass, or a generation with its options."""

    plan: SteeringPlan
    inputs: Mapping[str, Tensor]
    options: Mapping[str, Any] | None = None


class Harness:
    """The runs that requirements are judged on: the same inputs unsteered, steered by the adapter, and as expected."""

    def __init__(
        self, target: Target, adapter: SteeringAdapter, build: Factory, *, unsteered: Unsteered | None = None
    ) -> None:
        """``build`` makes an adapter like ``adapter`` for another model; the ``unsteered`` one's runs may be shared."""
        self.target = target
        self.adapter = adapter
        self._build = build
        self.model = target.model
        self.architecture = target.architecture
        self.unsteered = unsteered or Unsteered.of(target)
        self.workload = self.unsteered.workload
        self.prompts = self.unsteered.prompts
        self.plans = Plans(self.architecture, self.unsteered)
        self.pristine = Snapshot(self.model)
        """The model as it is before any requirement is tried."""
        self._settings = process_settings()
        self.neighbour: Any = None
        """Another model that is steered beside this one, where one was asked for."""
        self.made: tuple[object, ...] = ()
        """What making the adapter changed of what is the caller's."""
        self.figures = Figures()
        """What the requirement that is tried now has measured, for the report."""
        self.ran: list[Ran] = []
        """The steered runs of the requirement that is tried now."""

    def restore(self) -> None:
        """The model and the settings of the process are what they were, whatever an adapter left behind."""
        self.pristine.restore()
        put_back(self._settings)

    def twin(self, model: nn.Module) -> Harness:
        """The same for another model: an architecture and an adapter of its own."""
        return self.of(replace(self.target, model=model))

    def of(self, target: Target) -> Harness:
        """The same for another target, under an adapter that is made for it."""
        return Harness(target, self._build(target.model, target.architecture), self._build)

    def beside(self, target: Target) -> Harness:
        """The same for another target that nothing of the adapter is asked of."""
        return Harness(target, self.adapter, self._build)

    def anew(self) -> Harness:
        """The same under an adapter that is made anew."""
        adapter = self._build(self.model, self.architecture)
        return Harness(self.target, adapter, self._build, unsteered=self.unsteered)

    # What applies

    def need(self, *needs: str) -> None:
        """The model and the adapter have all of these, or the requirement is not applicable, with the reason.

        A need is the name of a ``Capability``, or ``weights`` (values to compute with) or ``trained`` (weights that
        come from a checkpoint, with a tokenizer to ask by).
        """
        reason = next(filter(None, map(self._lacks, needs)), "")
        if reason:
            not_applicable(reason)

    def need_positions(self, positions: Positions) -> None:
        """The adapter honours these positions, or the requirement is not applicable."""
        if positions is not Positions.ALL:
            self.need(positions.name)

    def can(self, need: str) -> bool:
        """The model and the adapter have what ``need`` names."""
        return not self._lacks(need)

    def _lacks(self, need: str) -> str:
        target = self.target
        if need == "weights":
            return "" if target.has_weights else "the model has shapes and no weights"
        if need == "trained":
            if not target.trained:
                return "the weights are untrained"
            return "" if target.tokenizer is not None else "without a tokenizer the model cannot be asked"
        capability = Capability[need]
        if capability not in self.adapter.capabilities:
            return f"{self.adapter.name} does not declare {need}"
        if capability is Capability.THREADS and target.sharding is not None:
            return "from several threads, the ranks would call their model in no one order"
        if capability is Capability.GENERATE:
            return self.unsteered.cannot_generate
        if capability is Capability.PADDING and not self.prompts.masked:
            return f"{type(self.model).__name__} takes no attention mask"
        if capability in (Capability.MULTI_LAYER, Capability.PER_LAYER_VECTORS) and self.architecture.num_layers == 1:
            return "the model has one decoder layer"
        return ""

    def dtype_of(self, logits: Tensor) -> torch.dtype:
        """What logits were computed in: a model of halves may return singles, whose last digits mean nothing."""
        return coarsest(logits.dtype, self.unsteered.computed_in)

    # Runs

    def running(self) -> AbstractContextManager[None]:
        """The context in which the model runs: see :func:`~.runs.running`."""
        return runs.running(self.target)

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

    def steered(self, plan: SteeringPlan, inputs: Mapping[str, Tensor]) -> Trace:
        """The forward pass of ``inputs`` under the adapter, watched after every layer."""
        given = self.unsteered.given(inputs)
        self.ran.append(Ran(plan, inputs))
        with self.steering(plan) as steered, self.running():
            return runs.forward(self.target, steered, given)

    def generated(self, plan: SteeringPlan, inputs: Mapping[str, Tensor], **options: Any) -> Trace:
        """``generate`` under the adapter; the result is the sequences, ``(rows, columns)``."""
        self.ran.append(Ran(plan, inputs, options))
        with self.steering(plan) as steered, self.running():
            return self._generate(steered, plan, inputs, options)

    def expected(self, plan: SteeringPlan, inputs: Mapping[str, Tensor], where: Tensor | None = None) -> Trace:
        """The forward pass steered by the reference implementation, watched after every layer: run once, and kept.

        The watch stands behind the push: what is seen is what the next module computes with.
        """
        if where is None and plan.positions is not Positions.ALL:
            where = self.prompts.steered_tokens(inputs, plan.positions)
        if where is None and self.prompts.mask(inputs) is not None:
            where = self.prompts.real(inputs)
        key = _print_of(plan, inputs, where)
        return self.unsteered.expected.once(key, lambda: self._forward_expected(plan, inputs, where))

    def _forward_expected(self, plan: SteeringPlan, inputs: Mapping[str, Tensor], where: Tensor | None) -> Trace:
        given = self.unsteered.given(inputs)
        with self.running(), reference(self.architecture, deltas_of(plan), where):
            return runs.forward(self.target, self.model, given)

    def generated_expected(self, plan: SteeringPlan, inputs: Mapping[str, Tensor], **options: Any) -> Trace:
        """``generate`` under the reference implementation, at every token."""
        with self.running(), reference(self.architecture, deltas_of(plan)):
            return self._generate(self.model, plan, inputs, options)

    def _generate(
        self, call: Any, plan: SteeringPlan, inputs: Mapping[str, Tensor], options: Mapping[str, Any]
    ) -> Trace:
        return runs.generate(
            self.target, call, inputs, workload=self.workload, layers=tuple(plan.vectors), options=options
        )


def _print_of(plan: SteeringPlan, inputs: Mapping[str, Tensor], where: Tensor | None) -> tuple[Any, ...]:
    """What an expected run is told apart by."""

    def values(tensor: Tensor) -> Any:
        return str(tensor.dtype), tuple(tensor.shape), tensor.detach().cpu().double().numpy().tobytes()

    vectors = tuple((layer, values(vector)) for layer, vector in plan.vectors.items())
    given = tuple((name, values(tensor)) for name, tensor in inputs.items())
    return float(plan.scale), vectors, given, None if where is None else values(where)
