"""What arrives: the residual stream as the module after each decoder layer receives it, pass by pass.

Nothing here looks at ``output_hidden_states``: for most architectures its last entry is taken after the final norm,
and what a hook adds may be invisible in it. What the module after a decoder layer receives is what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from pytest_steering.architecture.inputs import begins_at, input_mask, input_tokens
from pytest_steering.architecture.model import Architecture, DecoderLayer
from pytest_steering.architecture.residual import Layout, tensors_in
from pytest_steering.architecture.tracing import around_calls, copies, hooked
from pytest_steering.architecture.virtual_tokens import TokensAlone
from pytest_steering.architecture.weights import mixes
from pytest_steering.errors import Unseen


class Received(dict[int, Tensor]):
    """Decoder layer index → what arrived after it; ``Unseen`` for a layer after which nothing was seen."""

    def __missing__(self, layer: int) -> Tensor:
        raise Unseen(f"nothing is seen to arrive after layer {layer}")


@dataclass(eq=False)
class Pass:
    """One forward pass: its first absolute column, its width, and the residual stream after each watched layer."""

    start: int
    columns: int
    received: Received = field(default_factory=Received)
    """Decoder layer index → ``(rows, columns, hidden_size)``, as the next module received it; several residual
    streams stand before the last axis."""
    fed: Tensor | None = None
    """The tokens of the pass, as ids or embedded."""
    rows: int = 0
    """How many rows the pass has."""
    training: bool = False
    """The model is in training mode."""
    again: dict[int, list[Tensor]] = field(default_factory=dict)
    """Decoder layer index → the same for every further run of the layer in this pass."""
    added: dict[int, Tensor] = field(default_factory=dict)
    """Decoder layer index → the absolute values that the layer's own parts added up: what it rounded along the way."""


@dataclass(eq=False)
class Trace:
    """What was seen while something ran."""

    passes: list[Pass]
    result: Any = None

    @property
    def bytes(self) -> int:
        """The size of what arrived and of a result that is a tensor."""
        held = [tensor for now in self.passes for tensor in now.received.values()]
        if isinstance(self.result, Tensor):
            held.append(self.result)
        return sum(tensor.numel() * tensor.element_size() for tensor in held)

    def received(self, layer: int) -> Tensor:
        """The residual stream after ``layer`` in the only pass; ``Unseen`` when none was."""
        if not self.passes:
            raise Unseen("no forward pass of the model is seen")
        return self.passes[0].received[layer]


def observe(
    architecture: Architecture, layers: Sequence[int], run: Callable[[], Any], *, inside: bool = False
) -> Trace:
    """Every pass made while ``run`` runs, with a copy of what arrived after each of ``layers``.

    With ``inside``, also how large the numbers were that each of these layers added to the residual stream.
    To be called inside the adapter's block, so that the hooks here run after the adapter's own. A copy of the model
    that runs in its place is watched like it.
    """
    trace = Trace([])

    @contextmanager
    def watch(architecture: Architecture) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(following(architecture, trace.passes))
            for layer in layers:

                def keep(tensor: Tensor, layer: int = layer) -> None:
                    now = trace.passes[-1]
                    if layer in now.received:
                        now.again.setdefault(layer, []).append(tensor.detach().clone())
                    else:
                        now.received[layer] = tensor.detach().clone()

                stack.enter_context(at_receiver(architecture, layer, keep))
                if inside:
                    stack.enter_context(_adding(architecture.decoder_layers[layer], layer, trace.passes))
            yield

    with everywhere(architecture, watch):
        trace.result = run()
    return trace


@contextmanager
def everywhere(
    architecture: Architecture, watch: Callable[[Architecture], AbstractContextManager[None]]
) -> Iterator[None]:
    """The model is watched inside the block, and so is each copy of it that runs in its place."""
    entries = {architecture.entry}
    with ExitStack() as stack:

        def begin(find: Callable[[nn.Module], Architecture], model: nn.Module) -> None:
            with suppress(AttributeError):
                copied = find(model)
                if copied.entry not in entries:
                    entries.add(copied.entry)
                    stack.enter_context(watch(copied))

        stack.enter_context(watch(architecture))
        stack.enter_context(copies(architecture.model_class, partial(begin, architecture.on)))
        if architecture.extra_positions.virtual:
            # A wrapper's copy may generate around itself.
            stack.enter_context(copies(type(architecture.entry), partial(begin, architecture.inside)))
        yield


@contextmanager
def following(architecture: Architecture, passes: list[Pass]) -> Iterator[None]:
    """A ``Pass`` is appended whenever a forward pass begins; virtual tokens are no part of it."""
    alone = TokensAlone(architecture.extra_positions)

    def begin(_module: nn.Module, args: Any, kwargs: Any) -> None:
        args, kwargs = alone(_module, args, kwargs)
        tokens = input_tokens(kwargs, args)
        columns = tokens.shape[1]
        given = {**{str(number): value for number, value in enumerate(args)}, **kwargs}
        start = begins_at(given, columns, input_mask(kwargs))
        if start is None:
            # A recurrent state does not know how many tokens it has seen; a pass over all of them is longer than the
            # last.
            anew = not passes or columns > passes[-1].columns
            start = 0 if anew else passes[-1].start + passes[-1].columns
        passes.append(Pass(start, columns, fed=tokens.detach(), rows=tokens.shape[0], training=_module.training))

    with hooked(architecture.entry.register_forward_pre_hook(begin, with_kwargs=True)):
        yield


@contextmanager
def _adding(decoder_layer: DecoderLayer, layer: int, passes: list[Pass]) -> Iterator[None]:
    """The absolute outputs of the layer's own parts (attention, feed-forward, …) are summed for each pass."""

    def add(_module: nn.Module, _args: Any, output: Any) -> None:
        part = next((tensor for _, tensor in tensors_in(output)), None)
        if part is None or not part.is_floating_point():
            return
        if layer in passes[-1].received:
            return
        added = passes[-1].added
        part = part.detach().abs().double()
        if layer not in added:
            added[layer] = part
        elif added[layer].shape == part.shape:
            added[layer] = added[layer] + part

    # A norm has no matrix: what it returns is read by the parts and not added to the residual stream.
    parts = [part for part in decoder_layer.module.children() if mixes(part)]
    with hooked(*(part.register_forward_hook(add) for part in parts)):
        yield


@contextmanager
def at_receiver(
    architecture: Architecture, layer: int, use: Callable[[Tensor], Tensor | None], *, edits: bool = False
) -> Iterator[None]:
    """``use`` sees each residual stream that arrives after a layer, as ``(batch, sequence, hidden_size)``.

    With ``edits`` it returns another to take its place, for all that read it. Without, it sees also what hooks do that
    were registered after this began: whenever the layer runs, the watching hook is put behind them.
    """
    decoder_layer = architecture.decoder_layers[layer]
    if decoder_layer.receiver is None or (edits and not decoder_layer.alone):
        # The model's own forward consumes what the layer returns: that is all that can be read.
        with _returned(architecture.in_place(layer), decoder_layer.layout, use):
            yield
        return
    receiver = decoder_layer.receiver

    def received(_module: nn.Module, args: Any, kwargs: Any) -> Any:
        layout = decoder_layer.receiver_layout
        tensor = layout.read((args, kwargs))
        new = use(layout.canonical(tensor))
        if new is None:
            return None
        return layout.write((args, kwargs), layout.native(new))

    def watch() -> RemovableHandle:
        return receiver.register_forward_pre_hook(received, with_kwargs=True)

    handles = [watch()]

    def last_again(_module: nn.Module, _args: Any) -> None:
        handles.pop().remove()
        handles.append(watch())

    if not edits:
        handles.insert(0, decoder_layer.module.register_forward_pre_hook(last_again))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _returned(place: nn.Module, layout: Layout, use: Callable[[Tensor], Tensor | None]) -> Iterator[None]:
    """``use`` sees what the layer in this place returns to the model's forward, whatever anybody makes of it."""

    def run(call: Callable[..., Any], module: nn.Module, args: Any, kwargs: Any) -> Any:
        output = call(module, *args, **kwargs)
        if module is not place:
            return output
        new = use(layout.canonical(layout.read(output)))
        return output if new is None else layout.write(output, layout.native(new))

    with around_calls(type(place), run):
        yield
