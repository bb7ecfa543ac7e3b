"""Zero cost: the scaled steering vector is folded into the last bias that a decoder layer adds to its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from pytest_steering.adapters._common import scaled
from pytest_steering.adapters.protocol import SteeringAdapter
from pytest_steering.architecture.inputs import seeded_ids
from pytest_steering.architecture.model import Architecture, DecoderLayer
from pytest_steering.architecture.tracing import hooked
from pytest_steering.steering.capability import Capability
from pytest_steering.steering.plan import Positions, SteeringPlan

_TOKENS = 3


class FoldedAdapter(SteeringAdapter):
    """Steers every position by a changed bias; no code runs in the forward pass.

    The bias is that of the last linear module of a layer whose output reaches the layer's output unchanged, which
    is proven by trying it. A layer without one (a norm or a router comes last) raises ``ValueError`` when the adapter
    is made. Padding is steered like every other position, so ``PADDING`` is not declared.
    """

    name = "folded"
    frugal = True
    accumulates = True
    """The vector is added inside a matrix product, whose rounding is allowed for."""
    capabilities = frozenset(
        {
            Capability.MULTI_LAYER,
            Capability.PER_LAYER_VECTORS,
            Capability.BATCH,
            Capability.GENERATE,
            Capability.CACHE,
            Capability.BEAMS,
            Capability.ASSISTED,
            Capability.PATCHED,
            Capability.NESTING,
        }
    )

    def __init__(self, model: nn.Module, architecture: Architecture) -> None:
        self.architecture = architecture
        self.model = model
        own = architecture.extra_positions.in_stream
        if own:
            raise ValueError(
                f"a folded vector steers all positions, and {type(model).__name__} puts {own} "
                "of its own before the tokens; use --steering-adapter=hooks"
            )
        run = partial(_run, model, architecture)
        self._linear = [_foldable(run, decoder_layer) for decoder_layer in architecture.decoder_layers]

    @contextmanager
    def steer(self, plan: SteeringPlan) -> Iterator[nn.Module]:
        """The model itself, with changed biases inside the block and its own parameters again afterwards."""
        plan.check_every_row(self.name)
        plan.check(self.architecture)
        if plan.positions is not Positions.ALL:
            raise ValueError(f"a folded vector steers all positions; it cannot steer positions={plan.positions}")
        deltas = {layer: scaled(plan, layer, self.architecture.decoder_layers[layer].dtype) for layer in plan.vectors}
        with ExitStack() as stack:
            for layer, delta in deltas.items():
                if plan.scale != 0:
                    stack.enter_context(_Bias.of(self._linear[layer]).shifted(delta))
            yield self.model


class _Bias:
    """The bias of one linear module with the shifts of every open block, in whatever order blocks are left.

    While a block is open, the changed bias knows what it was changed by: another adapter on the same model adds to it.
    """

    def __init__(self, linear: nn.Module) -> None:
        self._linear = linear
        self._before: Tensor | None = None
        self._shifts: list[Tensor] = []

    @classmethod
    def of(cls, linear: nn.Module) -> _Bias:
        """That of the blocks that are open at ``linear``, or a new one."""
        found = getattr(linear.bias, "folded", None)
        return found if isinstance(found, cls) else cls(linear)

    @contextmanager
    def shifted(self, delta: Tensor) -> Iterator[None]:
        """The bias is larger by ``delta`` inside the block, and the module's own parameter when no block is open."""
        weight: Any = self._linear.weight
        shift = delta.detach().to(weight.device, weight.dtype)
        if not self._shifts:
            self._before = self._linear.bias  # type: ignore[assignment]
        self._shifts.append(shift)
        self._put()
        try:
            yield
        finally:
            self._shifts = [other for other in self._shifts if other is not shift]
            self._put()

    def _put(self) -> None:
        if not self._shifts:
            self._linear.bias = self._before  # type: ignore[assignment]
            return
        total = None if self._before is None else self._before.detach()
        for shift in self._shifts:
            total = shift.clone() if total is None else total + shift
        assert total is not None
        self._linear.bias = changed = nn.Parameter(total, requires_grad=False)
        changed.folded = self  # type: ignore[attr-defined]


def _run(model: nn.Module, architecture: Architecture) -> None:
    """The model reads a few tokens."""
    architecture.model_inputs.call(model, seeded_ids(model, 1, _TOKENS))


def _foldable(run: Callable[[], None], decoder_layer: DecoderLayer) -> nn.Module:
    """The last linear module of a layer whose shift arrives in the layer's output unchanged."""
    order = _linear_modules(run, decoder_layer)
    for linear in reversed(order):
        if _shift_arrives(run, decoder_layer, linear):
            return linear
    raise ValueError(
        f"{decoder_layer.name} has no bias to fold a vector into: no linear module's output reaches what the layer "
        "emits unchanged and as precise as the residual stream is; use --steering-adapter=hooks"
    )


def _linear_modules(run: Callable[[], None], decoder_layer: DecoderLayer) -> list[nn.Module]:
    """The layer's linear modules that write at the residual width, in the order in which they ran once each."""
    order: list[nn.Module] = []
    width = None

    def note(module: nn.Module, _args: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.shape[-1] == width:
            order.append(module)

    linear = [module for module in decoder_layer.module.modules() if isinstance(module, nn.Linear | Conv1D)]
    width = _emitted(run, decoder_layer).shape[-1]
    with hooked(*(module.register_forward_hook(note) for module in linear)):
        _emitted(run, decoder_layer)
    return [module for module in order if order.count(module) == 1]


def _shift_arrives(run: Callable[[], None], decoder_layer: DecoderLayer, linear: nn.Module) -> bool:
    plain = _emitted(run, decoder_layer)
    generator = torch.Generator().manual_seed(0)
    size = float(plain.float().abs().amax()) + 1
    shift = (torch.randn(plain.shape[-1], generator=generator) * size).to(plain)
    with hooked(linear.register_forward_hook(lambda _module, _args, output: output + shift.to(output.dtype))):
        moved = _emitted(run, decoder_layer).float() - plain.float()
    eps = torch.finfo(plain.dtype).eps
    return bool(((moved - shift.float()).abs() <= 16 * eps * size).all())


@torch.no_grad()
def _emitted(run: Callable[[], None], decoder_layer: DecoderLayer) -> Tensor:
    """What the layer emits for a few tokens."""
    found: list[Tensor] = []

    def keep(_module: nn.Module, _args: Any, output: Any) -> None:
        found.append(decoder_layer.layout.read(output))

    with hooked(decoder_layer.module.register_forward_hook(keep)):
        run()
    return found[0]
