"""Finding the decoder layers: run a few tokens, follow the tensors, prove it by an edit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from pytest_steering.anatomy import Architecture, Emission
from pytest_steering.chains import CONTAINERS, Chain, Link, find_chains
from pytest_steering.dataflow import Call, hooked, record
from pytest_steering.errors import ArchitectureError
from pytest_steering.residual import Layout, Path, kind_of, logits_of

__all__ = ["Architecture", "detect_architecture"]

ROWS, TOKENS = 2, 5


def detect_architecture(model: nn.Module) -> Architecture:
    """The decoder layers of ``model``, found by running a few tokens and following the tensors.

    Two forward passes of ten tokens as a rule, on the model's own device and without gradients. The model is left as
    it was found: mode, hooks and parameters. Raises ``ArchitectureError`` with the reason when the decoder layers
    cannot be told. Works under ``FakeTensorMode`` too.
    """
    with _evaluating(model):
        ids, run = _runner(model)
        fake = any(isinstance(parameter, FakeTensor) for parameter in model.parameters())
        with torch.set_grad_enabled(fake):
            calls, output = _recorded(model, run)
            logits = _logits(model, output)
            chains = find_chains(model, calls, logits)
            if not chains:
                raise ArchitectureError(
                    f"no decoder layers found in {type(model).__name__}: no module hands a residual stream on "
                    "to a sibling of the same width"
                )
            chain = _proven(chains, lambda chain: _reaches_logits(chain, run, logits, fake=fake))
    return _described(model, chain, calls, _entry(model, chain, calls, ids))


def _runner(model: nn.Module) -> tuple[Tensor, Callable[[], Any]]:
    """``ROWS`` rows of ``TOKENS`` seeded token ids, and a function that runs the model on them."""
    embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    if not embeddings:
        raise ArchitectureError(
            f"{type(model).__name__} embeds no tokens: it has no torch.nn.Embedding, so it is no language model"
        )
    vocabulary = max(embedding.num_embeddings for embedding in embeddings)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, min(vocabulary, 200), (ROWS, TOKENS), generator=generator)
    ids = ids.to(embeddings[0].weight.device)
    accepted = inspect.signature(model.forward).parameters
    named = "input_ids" in accepted or any(p.kind is p.VAR_KEYWORD for p in accepted.values())
    return ids, (lambda: model(input_ids=ids)) if named else (lambda: model(ids))


def _recorded(model: nn.Module, run: Callable[[], Any]) -> tuple[list[Call], Any]:
    try:
        return record(model, run)
    except Exception as error:
        reason = " ".join(str(error).split()) or "no message"
        raise ArchitectureError(
            f"{type(model).__name__} does not run on {ROWS} rows of {TOKENS} tokens: {type(error).__name__}: {reason}"
        ) from error


def _logits(model: nn.Module, output: Any) -> Tensor:
    try:
        return logits_of(output)
    except LookupError as error:
        raise ArchitectureError(
            f"{type(model).__name__} returns no logits ({error}): load it with its language-model head"
        ) from error


def _proven(chains: Sequence[Chain], reach: Callable[[Chain], str]) -> Chain:
    """The weightiest chain whose edit reaches the logits where, and only where, a causal decoder writes them."""
    anywhere = None
    for chain in chains:
        where = reach(chain)
        if where == "own":
            return chain
        if where == "any" and anywhere is None:
            anywhere = chain
    if anywhere is None:
        tried = ", ".join(f"{chain.parent or 'the root'} ({len(chain.modules)})" for chain in chains[:4])
        raise ArchitectureError(f"no chain of layers writes the logits: editing {tried} changes nothing")
    return anywhere


def _reaches_logits(chain: Chain, run: Callable[[], Any], logits: Tensor, *, fake: bool) -> str:
    """``own`` when an edit of the last token moves the logits of that token alone, ``any`` when it moves others
    too, empty when it moves none.

    Without values (fake tensors) the autograd graph tells whether the logits depend on what the chain emits.
    """
    last = chain.links[-1]
    if fake:
        (gradient,) = torch.autograd.grad(logits.float().sum(), [last.emitted], allow_unused=True, retain_graph=True)
        return "own" if gradient is not None else ""
    layout = Layout(last.path, *_axes(last.emitted))
    seen: list[None] = []

    def edit(_module: nn.Module, _args: Any, output: Any) -> Any:
        seen.append(None)
        if len(seen) != _times(chain, last):
            return None
        residual = layout.read(output)
        edited = layout.canonical(residual).clone()
        push = torch.linspace(-1, 1, edited.shape[-1]).to(edited)
        edited[:, -1] += push * (edited[:, -1].float().abs().amax().to(edited) + 1)
        return layout.write(output, edited.movedim((0, 1), (layout.batch_axis, layout.sequence_axis)))

    with hooked(last.call.module.register_forward_hook(edit)):
        moved = (logits_of(run()) != logits).any(-1)
    if moved.ndim != 2 or moved.shape[1] != TOKENS:
        return "any" if bool(moved.any()) else ""
    if not bool(moved[:, -1].all()):
        return "any" if bool(moved.any()) else ""
    return "any" if bool(moved[:, :-1].any()) else "own"


def _times(chain: Chain, last: Link) -> int:
    """Which of the calls of the last link's module it is: the edit is made there and nowhere else."""
    return sum(link.call.module is last.call.module for link in chain.links)


def _axes(tensor: Tensor) -> tuple[int, int]:
    """The batch and the sequence axis, told by their lengths."""
    shape = list(tensor.shape[:-1])
    if ROWS in shape and TOKENS in shape:
        return shape.index(ROWS), shape.index(TOKENS)
    raise ArchitectureError(
        f"the residual stream has shape {tuple(tensor.shape)} for {ROWS} rows of {TOKENS} tokens: "
        "its batch and sequence axes cannot be told"
    )


def _entry(model: nn.Module, chain: Chain, calls: Sequence[Call], ids: Tensor) -> tuple[str, nn.Module]:
    """The innermost module around the layers that receives the token ids, and the mask if the model takes one."""
    first = chain.links[0].call
    masked = "attention_mask" in inspect.signature(model.forward).parameters
    around = [
        call
        for call in calls
        if call.started < first.started
        and call.ended > first.ended
        and call.receives(ids) is not None
        and (not masked or "attention_mask" in inspect.signature(call.module.forward).parameters)
    ]
    return (around[-1].name, around[-1].module) if around else ("", model)


def _described(model: nn.Module, chain: Chain, calls: Sequence[Call], entry: tuple[str, nn.Module]) -> Architecture:
    links = {link.call.module: link for link in chain.links}
    counts = {module: sum(call.module is module for call in calls) for module in links}
    emissions = tuple(_emission(link, counts[module], chain, calls) for module, link in links.items())
    hidden_size = chain.links[0].emitted.shape[-1]
    notes = tuple(_contradictions(model, len(emissions), hidden_size))
    return Architecture(_common_path(model, chain), emissions, *entry, hidden_size, notes, type(model).__name__)


def _emission(link: Link, calls_per_pass: int, chain: Chain, calls: Sequence[Call]) -> Emission:
    axes = _axes(link.emitted)
    receiver, path = _receiver(link, calls)
    return Emission(
        name=link.call.name,
        module=link.call.module,
        kind=kind_of(link.call.output),
        layout=Layout(link.path, *axes),
        dtype=link.emitted.dtype,
        receiver_name=receiver.name if receiver else "",
        receiver=receiver.module if receiver else None,
        arrival=Layout(path, *axes),
        calls=calls_per_pass,
    )


def _receiver(link: Link, calls: Sequence[Call]) -> tuple[Call | None, Path]:
    """The first call that receives exactly what the link emitted."""
    for call in calls:
        if call.started > link.call.ended:
            path = call.receives(link.emitted)
            if path is not None:
                return call, path
    return None, ()


def _common_path(model: nn.Module, chain: Chain) -> str:
    """The dotted path of the container, or of the numbered attributes (``decoder.block_*``)."""
    if isinstance(model.get_submodule(chain.parent), CONTAINERS):
        return chain.parent or "(root)"
    names = [link.call.name.rpartition(".")[2] for link in chain.links]
    stems = {name.rstrip("0123456789") for name in names}
    stem = stems.pop() if len(stems) == 1 else ""
    return ".".join(part for part in (chain.parent, f"{stem}*") if part)


def _contradictions(model: nn.Module, num_layers: int, hidden_size: int) -> Iterator[str]:
    """Where the config says something else than what was measured: evidence to compare with, never the proof."""
    config = getattr(model, "config", None)
    get_text_config = getattr(config, "get_text_config", None)
    text = get_text_config() if callable(get_text_config) else config
    for name, measured, what in (
        ("num_hidden_layers", num_layers, "decoder layers ran"),
        ("hidden_size", hidden_size, "is the width of the residual stream"),
    ):
        said = getattr(text, name, None)
        if isinstance(said, int) and said != measured:
            yield f"the config says {name}={said}, but {measured} {what}"


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Every module is in evaluation mode inside, and in its own mode again afterwards."""
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
