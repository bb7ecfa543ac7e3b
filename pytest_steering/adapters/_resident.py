"""Hooks that are put on a model once and stay: compiled code is made with them, and reads from tensors what to add.

In eager mode they do what forward hooks do; where nothing is open, they look and do nothing. From then on torch looks
at hooks before it takes a graph for a model's own, in the whole process: its setting is not one of a model.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from pytest_steering.adapters._common import Step, scaled
from pytest_steering.architecture.compiled import any_compiled
from pytest_steering.architecture.inputs import parameters_of
from pytest_steering.architecture.model import Architecture
from pytest_steering.architecture.residual import Layout
from pytest_steering.steering.plan import SteeringPlan
from pytest_steering.steering.token_kinds import TokenKind, TokenKinds, lasting, steered_kinds
from pytest_steering.steering.token_positions import PassPositions


class Block:
    """One open block: its plan, which tokens of the pass it steers, and what it adds to each layer."""

    def __init__(self, plan: SteeringPlan, passes: PassPositions, todo: Mapping[int, Step]) -> None:
        self.plan = plan
        self.passes = passes
        self.todo = todo
        self.learnt = any(vector.requires_grad for vector in plan.vectors.values())


class Resident:
    """What steers one model: its open blocks, and the same as tensors, one row for each layer and kind of token."""

    def __init__(self, architecture: Architecture) -> None:
        entry = architecture.entry
        self.names = parameters_of(entry)
        self.tells_begin = "past_key_values" in self.names
        """A cache of keys tells where a pass of a generation begins; a recurrent state does not."""
        self.virtual = architecture.extra_positions.virtual > 0
        """Virtual tokens stand before the tokens, and whether in this pass no tensor tells."""
        self.blocks: tuple[Block, ...] = ()
        self.kinds = TokenKinds(_device(entry))
        width = architecture.hidden_size
        self.tables = [_table(layer.module, width) for layer in architecture.decoder_layers]
        self.now: Tensor | None = None
        """The kinds of token of the pass that runs, where it is steered by tensors."""
        self.places = [_place(architecture, layer) for layer in architecture.every_layer]
        """Where the decoder layers stand, or what somebody puts in their places."""

    @classmethod
    def of(cls, architecture: Architecture) -> Self:
        """That of the model: what is there already, or a new one. Code that was compiled without it is forgotten."""
        for hook in architecture.entry._forward_pre_hooks.values():
            if isinstance(hook, Begin):
                found: Self = hook.resident  # type: ignore[assignment]
                return found
        resident = cls(architecture)
        architecture.entry.register_forward_pre_hook(Begin(resident), with_kwargs=True)
        architecture.entry.register_forward_hook(End(resident))
        for layer, decoder_layer in enumerate(architecture.decoder_layers):
            # Before all other hooks: transformers captures hidden states with one that it leaves on the layer.
            decoder_layer.module.register_forward_hook(After(resident, layer, decoder_layer.layout), prepend=True)
        _HookGuards.hold(resident)
        torch.compiler.reset()
        return resident

    def open(self, block: Block) -> None:
        """The block steers from now on."""
        self.blocks = (*self.blocks, block)
        self._write(block)

    def close(self, block: Block) -> None:
        """The block steers no more, in whatever order blocks are left."""
        self.blocks = tuple(each for each in self.blocks if each is not block)
        self._write(block)

    @torch.no_grad()
    def _write(self, changed: Block) -> None:
        layers, named = set(changed.plan.vectors), [*self.blocks, changed]
        groups: list[tuple[Block, ...]] = [tuple(block for block in self.blocks if block.plan.rows is None)]
        if any(block.plan.rows is not None for block in named):
            layers = {layer for block in named for layer in block.plan.vectors}
            self._group(groups)
        for layer in layers:
            table = torch.zeros(self.tables[layer].shape, dtype=torch.float64)
            for number, blocks in enumerate(groups):
                for block in blocks:
                    if layer in block.plan.vectors:
                        delta = scaled(block.plan, layer, torch.float64).cpu()
                        for kind in steered_kinds(block.plan.positions):
                            table[number * len(TokenKind) + kind] += delta
            self.tables[layer].copy_(table)

    def _group(self, groups: list[tuple[Block, ...]]) -> None:
        """The rows that the same blocks steer are a group; what there is no room for makes it, and the graphs anew."""
        rows: dict[int, int] = {}
        for row in {row for block in self.blocks for row in block.plan.rows or ()}:
            blocks = tuple(block for block in self.blocks if block.plan.rows is None or row in block.plan.rows)
            if blocks not in groups:
                groups.append(blocks)
            rows[row] = groups.index(blocks)
        before = self.kinds.groups
        self.kinds.group(rows, len(groups))
        if self.kinds.groups > before:
            for layer, table in enumerate(self.tables):
                more = table.new_zeros(self.kinds.groups * len(TokenKind), table.shape[1])
                more[: len(table)] = table
                self.tables[layer] = lasting(more)

    def compiled_layers(self) -> bool:
        """Some decoder layer is compiled by itself."""
        return any_compiled([getattr(parent, name) for parent, name in self.places])


class _HookGuards:
    """Torch looks at a model's hooks before it takes a graph for its own, as long as some model has resident hooks.

    A graph of another model of the same class, which has no such hooks, would else be taken for this one's. The setting
    is one for the whole process.
    """

    held = 0
    before = True

    @classmethod
    def hold(cls, resident: Resident) -> None:
        """From now on, and until the last one is gone."""
        if not cls.held:
            cls.before = torch._dynamo.config.skip_nnmodule_hook_guards
        cls.held += 1
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        weakref.finalize(resident, cls._release).atexit = False

    @classmethod
    def _release(cls) -> None:
        cls.held -= 1
        if not cls.held:
            torch._dynamo.config.skip_nnmodule_hook_guards = cls.before


class Hook:
    """A hook of one model: a copy of the model has one in its place that does nothing."""

    def __init__(self, resident: Resident) -> None:
        self.resident = resident

    def __reduce__(self) -> tuple[object, ...]:
        return _Nothing, ()


class _Nothing:
    """The hook of a copy: what steers a model does not steer its copies."""

    def __call__(self, *_given: Any) -> None:
        """Nothing changes."""


class Begin(Hook):
    """A pass begins."""

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Which tokens it holds is told by what the module that embeds them is called with."""
        resident = self.resident
        named = {**dict(zip(resident.names, args, strict=False)), **kwargs} if args else kwargs
        compiling = torch.compiler.is_compiling()
        by_tensors = (compiling or resident.compiled_layers()) and not resident.virtual
        resident.now = resident.kinds.of_pass(named) if by_tensors else None
        if resident.now is not None or not resident.blocks:
            return
        if compiling:
            _apart(_begin, resident.blocks, module, named)
        else:
            _begin(resident.blocks, module, named)


class End(Hook):
    """A pass ends."""

    def __call__(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        """A compiled pass leaves nothing behind."""
        if torch.compiler.is_compiling():
            self.resident.now = None


class After(Hook):
    """What one decoder layer emits is steered."""

    def __init__(self, resident: Resident, layer: int, layout: Layout) -> None:
        super().__init__(resident)
        self.layer = layer
        self.layout = layout

    def __call__(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        """After the layer."""
        resident = self.resident
        if resident.now is not None:
            return self._by_table(output, resident.now)
        if not resident.blocks:
            return None
        if torch.compiler.is_compiling():
            return _apart(self._by_steps, output)
        return self._by_steps(output)

    def _by_table(self, output: Any, kinds: Tensor) -> Any:
        residual = self.layout.read(output)
        row = self.layout.spread(kinds.to(residual.device), residual).squeeze(-1)
        delta = self.resident.tables[self.layer].to(residual.device, residual.dtype)[row]
        return self.layout.write(output, torch.where(delta == 0, residual, residual + delta))

    def _by_steps(self, output: Any) -> Any:
        for block in self.resident.blocks:
            step = block.todo.get(self.layer)
            if step is not None:
                output = step(output, block.passes.mask)
        return output


def _call(function: Callable[..., Any], *given: Any) -> Any:
    return function(*given)


_apart: Callable[..., Any] = torch.compiler.disable(_call)  # type: ignore[no-untyped-call]
"""Calls a function in eager mode out of code that is compiled, whose graph ends there."""


def _begin(blocks: tuple[Block, ...], module: nn.Module, named: Mapping[str, Any]) -> None:
    for block in blocks:
        block.passes.begin_pass(module, (), named)


def _place(architecture: Architecture, layer: int) -> tuple[nn.Module, str]:
    inside, _, name = architecture.decoder_layers[layer].name.rpartition(".")
    return architecture.entry.get_submodule(inside.removeprefix(architecture.entry_name).lstrip(".")), name


def _device(module: nn.Module) -> torch.device:
    """Where the first weight lies that lies anywhere."""
    return next((weight.device for weight in module.parameters() if not weight.is_meta), torch.device("cpu"))


def _table(module: nn.Module, width: int) -> Tensor:
    with torch.inference_mode(False):
        return lasting(torch.zeros(len(TokenKind), width, dtype=torch.float64, device=_device(module)))
