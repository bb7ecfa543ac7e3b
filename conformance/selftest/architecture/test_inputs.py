"""What a model is fed: by name or by position, masked or not, with a source text or an image beside it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytest_steering.fixtures import anatomies, unusual
from torch import Tensor, nn

from pytest_steering import load_target
from pytest_steering.architecture.axes import OTHER_ROWS, OTHER_TOKENS, ROWS, TOKENS, layout_of
from pytest_steering.architecture.inputs import possible_inputs, seeded_ids, spoils
from pytest_steering.architecture.residual import Layout, fitted
from pytest_steering.errors import ArchitectureError


def test_by_name_with_a_mask() -> None:
    target = load_target("tiny:llama")
    model_inputs = target.architecture.model_inputs
    ids = torch.ones(2, 3, dtype=torch.long)
    assert set(model_inputs.inputs(ids, torch.ones_like(ids))) == {"input_ids", "attention_mask"}
    assert (model_inputs.positional, model_inputs.numbered, model_inputs.begins, dict(model_inputs.beside)) == (
        False,
        True,
        None,
        {},
    )


def test_by_position_without_a_mask() -> None:
    (model_inputs,) = possible_inputs(anatomies.InSequential())
    assert (model_inputs.ids_name, model_inputs.positional, model_inputs.mask_name) == ("ids", True, "")


def test_an_encoder_decoder_begins_with_its_start_token_and_reads_the_same_source_in_every_row() -> None:
    target = load_target("tiny:florence2")
    model_inputs = target.architecture.model_inputs
    assert (model_inputs.ids_name, model_inputs.mask_name, model_inputs.begins) == (
        "decoder_input_ids",
        "decoder_attention_mask",
        1,
    )
    inputs = model_inputs.inputs(torch.ones(3, 4, dtype=torch.long))
    assert inputs["input_ids"].shape[0] == 3
    assert (inputs["input_ids"] == inputs["input_ids"][0]).all()


def test_an_image_only_where_text_alone_does_not_run() -> None:
    assert set(load_target("tiny:blip").architecture.model_inputs.beside) == {"pixel_values"}
    assert not load_target("tiny:llava").architecture.model_inputs.beside


@pytest.mark.parametrize(
    ("spec", "beside"),
    [
        ("tiny:pix2struct", {"flattened_patches"}),
        ("tiny:udop", {"input_ids", "pixel_values", "bbox"}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_patches_and_boxes_where_an_image_does_not_do(spec: str, beside: set[str], dtype: str) -> None:
    architecture = load_target(spec, dtype=dtype).architecture
    assert set(architecture.model_inputs.beside) == beside
    assert any("one fixed image" in note for note in architecture.notes)
    assert architecture.num_layers == 4


class NamesItsDtype(nn.Module):
    """Runs on an image beside the text, and calls its dtype by a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4, dtype=torch.bfloat16)
        self.config = SimpleNamespace(image_size=8)
        self.dtype = "bf16"

    def forward(self, input_ids: Tensor, pixel_values: Tensor | None = None) -> Tensor:
        embedded: Tensor = self.embedding(input_ids)
        return embedded


def test_an_image_is_of_the_dtype_of_the_weights() -> None:
    (pixels,) = [made.beside["pixel_values"] for made in possible_inputs(NamesItsDtype()) if made.beside]
    assert (pixels.dtype, pixels.shape) == (torch.bfloat16, (1, 3, 8, 8))


def test_a_model_that_nothing_suits_says_what_was_tried() -> None:
    target = load_target("tiny:blip-2")
    with pytest.raises(
        ArchitectureError, match="Blip2ForConditionalGeneration does not run on 2 rows of 5 tokens: with"
    ):
        _ = target.architecture


def test_ids_are_seeded_and_lie_in_the_vocabulary() -> None:
    model: Any = nn.Sequential(nn.Embedding(9, 4))
    ids = seeded_ids(model, 3, 50)
    assert torch.equal(ids, seeded_ids(model, 3, 50))
    assert int(ids.max()) < 9


def shapes(*sizes: tuple[int, int] | int) -> tuple[list[int], list[int]]:
    """The shape of a tensor in two runs: an axis is one size, or one in each."""
    pairs = [size if isinstance(size, tuple) else (size, size) for size in sizes]
    return [one for one, _ in pairs], [two for _, two in pairs]


BATCH, SEQUENCE = (ROWS, OTHER_ROWS), (TOKENS, OTHER_TOKENS)


@pytest.mark.parametrize(
    ("sizes", "layout"),
    [
        ((BATCH, SEQUENCE, 32), Layout()),
        ((SEQUENCE, BATCH, 32), Layout((), 1, 0)),
        ((BATCH, SEQUENCE, 4, 32), Layout()),
        ((4, BATCH, SEQUENCE, 32), Layout((), 1, 2)),
        ((ROWS, BATCH, SEQUENCE, 32), Layout((), 1, 2)),
        ((BATCH, SEQUENCE, TOKENS, 32), Layout()),
        ((BATCH, (TOKENS + 32, OTHER_TOKENS + 32), 32), Layout(extra=32)),
        ((BATCH, (3 * TOKENS, 3 * OTHER_TOKENS), 32), Layout(repeats=3)),
        ((BATCH, 32, 4), None),
        (((ROWS * TOKENS, OTHER_ROWS * OTHER_TOKENS), 32), None),
        ((BATCH, SEQUENCE, SEQUENCE, 32), None),
    ],
)
def test_axes(sizes: tuple[Any, ...], layout: Layout | None) -> None:
    one, two = shapes(*sizes)
    assert layout_of((), one, lambda: two) == layout


def test_the_second_run_is_asked_only_in_doubt() -> None:
    def never() -> list[int]:
        raise AssertionError

    assert layout_of((0,), [ROWS, TOKENS, 32], never) == Layout((0,))


@pytest.mark.parametrize("layout", [Layout(), Layout((), 1, 0), Layout((), 1, 2), Layout(repeats=3)])
def test_canonical_and_back(layout: Layout) -> None:
    shape = [2, 15, 8] if layout.sequence_axis < 2 else [3, 2, 15, 8]
    tensor = torch.arange(torch.tensor(shape).prod().item()).reshape(shape).float()
    assert torch.equal(layout.native(layout.canonical(tensor)), tensor)


def test_a_mask_fits_what_the_pass_computes() -> None:
    mask: Tensor = torch.tensor([[True, False, True]])
    assert fitted(mask, 3) is mask
    assert fitted(mask, 1).tolist() == [[True]]
    assert fitted(mask, 5).tolist() == [[False, False, True, False, True]]


def test_a_mask_is_laid_over_streams_end_to_end() -> None:
    layout = Layout(repeats=2)
    over = layout.spread(torch.tensor([[True, False]]), torch.zeros(1, 4, 8))
    assert over.flatten().tolist() == [True, False, True, False]


def test_unusual_models_are_fed_like_any_other() -> None:
    target = load_target("pytest_steering.fixtures.unusual:EncoderBeside")
    assert target.architecture.model_inputs.ids_name == "decoder_input_ids"
    assert isinstance(target.model, unusual.EncoderBeside)


class Writes(nn.Module):
    """Adds an offset to the positions that it is given, as XGLM of transformers 4 does."""

    def forward(self, input_ids: Tensor, position_ids: Tensor) -> Tensor:
        position_ids += 2
        return input_ids + position_ids


def test_a_model_that_writes_into_its_inputs_is_told() -> None:
    inputs = {"input_ids": torch.arange(3)[None], "position_ids": torch.arange(3)[None]}
    assert spoils(Writes(), inputs)
    assert inputs["position_ids"].tolist() == [[0, 1, 2]]
    assert not spoils(lambda input_ids, position_ids: input_ids + position_ids, inputs)
    assert not spoils(lambda input_ids: input_ids, inputs)
