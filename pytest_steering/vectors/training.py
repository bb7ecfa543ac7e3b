"""Steering vectors from contrastive pairs: tokens or texts in, one vector for each layer out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from torch import Tensor

from pytest_steering.architecture.inputs import embedding_of, tokens_go_to
from pytest_steering.architecture.model import Architecture
from pytest_steering.vectors._common import VectorError, needs
from pytest_steering.vectors.methods import Method, find_method, train_direction
from pytest_steering.vectors.states import Place, Text, chosen_tokens, read_states, tokenised

Position = int | Literal["mean"] | tuple[Tensor, Tensor]
"""A :data:`Place` for both sides: a mask for each of them where the tokens are marked."""

_SIDES = ("positive", "negative")


def train_vectors(
    call: Callable[..., Any],
    architecture: Architecture,
    positive: Mapping[str, Tensor],
    negative: Mapping[str, Tensor],
    *,
    layers: Sequence[int] | None = None,
    method: str = Method.DIFFERENCE_IN_MEANS,
    position: Position = -1,
    batch_size: int | None = None,
    progress: bool = False,
) -> dict[int, Tensor]:
    """One steering vector per layer, ``(hidden_size,)`` in float32, that points from the negative to the positive side.

    ``call`` is the model (or a steered one); ``positive`` and ``negative`` are batches of contrastive prompts with an
    ``attention_mask`` when rows are padded, on either side. The states are read where the next module receives them,
    which is where an adapter writes, at ``position``: of each row's real tokens the one of that index (the last by
    default), their ``"mean"``, or the mean of those that a pair of boolean masks marks. ``layers`` defaults to the
    architecture's steering layers. All methods give vectors of comparable size: see
    :mod:`pytest_steering.vectors.methods`. ``VectorError`` says what cannot be.
    """
    find_method(method)
    layers = _checked_layers(architecture, layers)
    places: tuple[Place, Place] = position if isinstance(position, tuple) else (position, position)
    ids = [side[architecture.model_inputs.ids_name] for side in (positive, negative)]
    sides = []
    with progress_bar(sum(len(rows) for rows in ids), "reading states", shown=progress) as done:
        for name, side, place in zip(_SIDES, (positive, negative), places, strict=True):
            with _on(name):
                states = read_states(call, architecture, side, layers, place=place, batch_size=batch_size, done=done)
            sides.append(states)
    return {layer: train_direction(method, sides[0][layer], sides[1][layer]).to(ids[0].device) for layer in layers}


def train_from_texts(
    call: Callable[..., Any],
    architecture: Architecture,
    tokenizer: Any,
    pairs: Sequence[tuple[Text, Text]],
    *,
    layers: Sequence[int] | None = None,
    method: str = Method.DIFFERENCE_IN_MEANS,
    position: int | Literal["mean", "answer"] = -1,
    batch_size: int | None = 8,
    progress: bool = False,
) -> dict[int, Tensor]:
    """One steering vector per layer, as :func:`train_vectors` gives, from ``(positive, negative)`` texts.

    A text is a string, or a prompt and its answer; ``"answer"`` reads the mean over the answer's tokens. The tokenizer
    need not pad, and its padding side does not matter.
    """
    if not pairs:
        raise VectorError("there are no pairs to train on; give at least one (positive, negative) pair")
    device = tokens_go_to(architecture.entry)
    sides, masks = [], []
    for side, name in enumerate(_SIDES):
        texts = [pair[side] for pair in pairs]
        with _on(name):
            tokens = tokenised(architecture.model_inputs, tokenizer, texts, answers=position == "answer", device=device)
            _check_vocabulary(architecture, tokens.inputs[architecture.model_inputs.ids_name])
            masks.append(chosen_tokens(tokens.real, tokens.answers if position == "answer" else position))
        sides.append(tokens.inputs)
    return train_vectors(
        call,
        architecture,
        *sides,
        layers=layers,
        method=method,
        position=(masks[0], masks[1]),
        batch_size=batch_size,
        progress=progress,
    )


@contextmanager
def _on(side: str) -> Iterator[None]:
    try:
        yield
    except VectorError as error:
        raise VectorError(f"on the {side} side, {error}") from None


def _checked_layers(architecture: Architecture, layers: Sequence[int] | None) -> tuple[int, ...]:
    if layers is None:
        return architecture.steering_layers
    for layer in layers:
        if not 0 <= layer < architecture.num_layers:
            raise VectorError(
                f"there is no decoder layer {layer}: {architecture.layers_path} has layers "
                f"0 to {architecture.num_layers - 1}"
            )
    return tuple(dict.fromkeys(layers))


def _check_vocabulary(architecture: Architecture, ids: Tensor) -> None:
    own = getattr(architecture.entry, "get_input_embeddings", None)
    table: Any = own() if own else embedding_of(architecture.entry)
    known = int(table.weight.shape[0])
    if int(ids.max()) >= known:
        raise VectorError(
            f"the tokenizer has token {int(ids.max())}, and the model embeds {known} tokens; "
            "use the model's own tokenizer"
        )


@contextmanager
def progress_bar(total: int, what: str, *, shown: bool, unit: str = "text") -> Iterator[Callable[[int], object]]:
    """What is yielded is called with the number of rows done; nothing is imported or written unless ``shown``."""
    if not shown:
        yield lambda _rows: None
        return
    try:
        from tqdm import tqdm  # noqa: PLC0415 (an optional package)
    except ImportError:
        raise needs("tqdm", "a progress bar") from None
    with tqdm(total=total, desc=what, unit=unit) as bar:
        yield bar.update
