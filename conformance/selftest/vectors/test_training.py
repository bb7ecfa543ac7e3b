"""Vectors from pairs: three methods of one size and sign, read at a chosen token, whatever pads the rows."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from pytest_steering.fixtures.checkpoint import train_tokenizer
from torch import Tensor

from pytest_steering import Architecture, SteeringPlan, Target, detect_architecture, load_target, vectors
from pytest_steering.adapters.hooks import HooksAdapter
from pytest_steering.architecture.observation import observe
from pytest_steering.oracle.inputs import zero_mean
from pytest_steering.targets.tiny.models import random_model, tiny_config
from pytest_steering.vectors import (
    Method,
    VectorError,
    difference_in_means,
    hash_pairs,
    read_states,
    train_from_texts,
    train_vectors,
)
from pytest_steering.vectors.methods import first_component, logistic_probe, train_direction
from pytest_steering.vectors.states import tokenised

METHODS = list(Method)
WIDE = 64
PAIRS = [
    ("free(pointer); pointer = NULL;", "free(pointer); use(pointer);"),
    ("if (length > limit) { return -1; } copy(buffer, input);", "copy(buffer, input);"),
    ("total = total + 1", "total"),
]


class Sides(NamedTuple):
    planted: Tensor
    positive: Tensor
    negative: Tensor


def sides(pairs: int = 64, *, unequal: bool = False, shared: float = 0.0, seed: int = 0) -> Sides:
    """Pairs that differ by a planted vector and noise, which is of very unequal size in the elements if ``unequal``."""
    random = torch.Generator().manual_seed(seed)

    def noise() -> Tensor:
        return torch.randn(pairs, WIDE, generator=random, dtype=torch.float64) * sizes

    sizes = torch.exp(1.5 * torch.randn(WIDE, generator=random, dtype=torch.float64)) if unequal else torch.ones(WIDE)
    sizes = sizes / sizes.square().mean().sqrt()
    planted = 0.5 * zero_mean(WIDE, seed).double()
    content = shared * noise()
    return Sides(planted, content + planted / 2 + noise(), content - planted / 2 + noise())


def cosine(one: Tensor, other: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one.double(), other.double(), dim=0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_a_planted_direction_is_found_with_its_sign(method: str, shared: float) -> None:
    planted, positive, negative = sides(shared=shared)
    assert cosine(train_direction(method, positive, negative), planted) > 0.85
    assert cosine(train_direction(method, negative, positive), planted) < -0.85


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_scale_1_carries_one_mean_to_the_other_along_the_vector(method: str, seed: int) -> None:
    _, positive, negative = sides(12, unequal=True, seed=seed)
    vector = train_direction(method, positive, negative).double()
    unit = vector / vector.norm()
    moved = (negative.mean(0) + vector) @ unit
    assert float(moved) == pytest.approx(float(positive.mean(0) @ unit), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_pairs_fix_the_sign_whatever_the_method_returns(method: str) -> None:
    for seed in range(12):
        _, positive, negative = sides(3, seed=seed)
        vector = train_direction(method, positive, negative).double()
        assert float(vector @ (positive - negative).mean(0)) > 0


@pytest.mark.parametrize("method", METHODS)
def test_one_pair_gives_its_difference(method: str) -> None:
    _, positive, negative = sides(1)
    torch.testing.assert_close(train_direction(method, positive, negative), (positive - negative)[0].float())


@pytest.mark.parametrize("method", METHODS)
def test_what_all_pairs_have_in_common_is_not_centred_away(method: str) -> None:
    _, _, negative = sides(8)
    common = zero_mean(WIDE, 9)
    torch.testing.assert_close(train_direction(method, negative + common, negative), common, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_sides_that_do_not_differ_give_zero(method: str) -> None:
    _, positive, _ = sides(8)
    assert not train_direction(method, positive, positive).any()
    assert not train_direction(method, torch.zeros(3, 4), torch.zeros(3, 4)).any()


def test_a_probe_is_not_led_by_the_elements_that_hardly_vary() -> None:
    planted, positive, negative = sides(200, unequal=True)
    assert cosine(logistic_probe(positive, negative), planted) > 0.9


def test_a_probe_looks_at_pairs_when_there_are_pairs() -> None:
    planted, positive, negative = sides(60, shared=8.0)
    alone = logistic_probe(positive, negative[:-1])
    assert cosine(logistic_probe(positive, negative), planted) > 0.88 > 0.65 > cosine(alone, planted)


def test_pca_needs_pairs_and_the_others_do_not() -> None:
    planted, positive, negative = sides()
    with pytest.raises(VectorError, match="there are 64 positive and 63 negative texts; pair them, or use difference"):
        first_component(positive, negative[1:])
    assert cosine(difference_in_means(positive, negative[1:]), planted) > 0.85
    assert cosine(logistic_probe(positive, negative[1:]), planted) > 0.85


def test_a_method_that_is_not_there() -> None:
    message = "there is no method 'svm'; use one of difference-in-means, pca, logistic-probe"
    with pytest.raises(VectorError, match=message):
        train_direction("svm", torch.ones(1, 2), torch.ones(1, 2))


# Which state is read


@pytest.fixture(scope="module", params=["gpt_bigcode", "starcoder2", "qwen2", "bloom", "mamba"])
def target(request: pytest.FixtureRequest) -> Target:
    return load_target(f"tiny:{request.param}")


@pytest.fixture(scope="module")
def bigcode() -> Target:
    return load_target("tiny:gpt_bigcode")


class Worded(NamedTuple):
    model: Any
    architecture: Architecture
    tokenizer: Any


@pytest.fixture(scope="module")
def worded() -> Worded:
    """A model with a tokenizer of its own."""
    tokenizer, config = train_tokenizer(), tiny_config("gpt_bigcode")
    config.vocab_size = len(tokenizer)
    model = random_model(config)
    return Worded(model, detect_architecture(model), tokenizer)


LENGTHS = (5, 2, 7, 4)
ROWS = [torch.randint(1, 60, (length,), generator=torch.Generator().manual_seed(length)) for length in LENGTHS]


def padded(architecture: Architecture, side: str, extra: int, pad: int) -> dict[str, Tensor]:
    """The rows as one batch, ``extra`` columns wider than the longest."""
    width = max(LENGTHS) + extra
    ids, mask = torch.full((len(ROWS), width), pad), torch.zeros(len(ROWS), width, dtype=torch.long)
    for number, row in enumerate(ROWS):
        where = slice(width - len(row), None) if side == "left" else slice(len(row))
        ids[number, where], mask[number, where] = row, 1
    return architecture.model_inputs.inputs(ids, mask)


def alone(target: Target, layer: int) -> list[Tensor]:
    """What arrives after the layer when each row runs without any padding: ``(tokens, hidden_size)``."""
    model_inputs = target.architecture.model_inputs
    with torch.no_grad():
        runs = [
            observe(
                target.architecture,
                [layer],
                lambda row=row: target.model(**model_inputs.inputs(row[None])),  # type: ignore[misc]
            )
            for row in ROWS
        ]
    return [run.received(layer)[0] for run in runs]


@pytest.mark.parametrize("pad", [0, 41])
@pytest.mark.parametrize("extra", [0, 3])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_row_reads_the_same_whatever_pads_it(target: Target, side: str, extra: int, pad: int) -> None:
    inputs = padded(target.architecture, side, extra, pad)
    read = read_states(target.model, target.architecture, inputs, [2])[2]
    wanted = torch.stack([states[-1] for states in alone(target, 2)])
    torch.testing.assert_close(read, wanted.double(), rtol=1e-4, atol=1e-5)


PLACES: list[tuple[Any, Callable[[Tensor], Tensor]]] = [
    (-1, lambda states: states[-1]),
    (0, lambda states: states[0]),
    (1, lambda states: states[1]),
    (-2, lambda states: states[-2]),
    ("mean", lambda states: states.mean(0)),
]


@pytest.mark.parametrize(("place", "wanted"), PLACES, ids=[str(place) for place, _ in PLACES])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_the_token_that_is_read(
    bigcode: Target, place: Any, wanted: Callable[[Tensor], Tensor], side: str, batch_size: int | None
) -> None:
    inputs = padded(bigcode.architecture, side, 2, 41)
    read = read_states(bigcode.model, bigcode.architecture, inputs, [1], place=place, batch_size=batch_size)[1]
    expected = torch.stack([wanted(states) for states in alone(bigcode, 1)]).double()
    torch.testing.assert_close(read, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_mean_over_marked_tokens_leaves_padding_out(bigcode: Target, side: str) -> None:
    inputs = padded(bigcode.architecture, side, 2, 41)
    real = inputs["attention_mask"].bool()
    marks = (real.cumsum(1) >= 2) | ~real
    read = read_states(bigcode.model, bigcode.architecture, inputs, [1], place=marks)[1]
    expected = torch.stack([states[1:].mean(0) for states in alone(bigcode, 1)]).double()
    torch.testing.assert_close(read, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_rows_of_like_length_run_together_without_columns_of_padding_alone(bigcode: Target, side: str) -> None:
    shapes = []

    def call(**inputs: Tensor) -> Any:
        shapes.append((tuple(inputs["input_ids"].shape), int(inputs["attention_mask"].sum())))
        return bigcode.model(**inputs)

    read_states(call, bigcode.architecture, padded(bigcode.architecture, side, 3, 41), [1], batch_size=2)
    assert shapes == [((2, 7), 12), ((2, 4), 6)]


def test_position_ids_and_the_like_move_with_their_tokens(bigcode: Target) -> None:
    inputs = padded(bigcode.architecture, "left", 2, 41)
    numbered = inputs | {"position_ids": (inputs["attention_mask"].cumsum(1) - 1).clamp_min(0)}
    read = [read_states(bigcode.model, bigcode.architecture, each, [1])[1] for each in (inputs, numbered)]
    assert torch.equal(*read)


def test_several_streams_are_averaged() -> None:
    target = load_target("tiny:gemma3n_text")
    inputs = target.architecture.model_inputs.inputs(ROWS[0][None])
    read = read_states(target.model, target.architecture, inputs, [1])[1]
    with torch.no_grad():
        received = observe(target.architecture, [1], lambda: target.model(**inputs)).received(1)
    assert received.ndim == 4
    torch.testing.assert_close(read, received[:, -1].flatten(1, -2).mean(1).double())


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (2, "row 1, of 2 tokens, has no token 2; choose another position"),
        (-6, "row 0, of 5 tokens, has no token -6; choose another position"),
        ("last", "there is no token position 'last'; give a whole number, 'mean', or masks"),
        (True, "there is no token position True"),
        (torch.zeros(4, 9), "row 0, of 5 tokens, has no real token that the mask marks"),
        (torch.ones(4, 3), r"the mask of the tokens to read has shape \(4, 3\), the token ids \(4, 9\)"),
    ],
    ids=["late", "early", "word", "bool", "unmarked", "narrow"],
)
def test_a_token_that_is_not_there(bigcode: Target, place: Any, sentence: str) -> None:
    inputs = padded(bigcode.architecture, "left", 2, 0)
    with pytest.raises(VectorError, match=sentence):
        read_states(bigcode.model, bigcode.architecture, inputs, [1], place=place)


def test_a_row_of_padding_alone(bigcode: Target) -> None:
    inputs = bigcode.architecture.model_inputs.inputs(
        torch.ones(2, 3, dtype=torch.long), torch.tensor([[1, 1, 1], [0, 0, 0]])
    )
    with pytest.raises(VectorError, match="on the negative side, row 1 is all padding; leave it out"):
        train_vectors(bigcode.model, bigcode.architecture, padded(bigcode.architecture, "left", 0, 0), inputs)


def test_states_that_are_not_finite_are_no_vectors(bigcode: Target) -> None:
    def call(**inputs: Tensor) -> Any:
        plan = SteeringPlan({1: torch.full((bigcode.architecture.hidden_size,), 3e38)})
        twice = [HooksAdapter(bigcode.model, bigcode.architecture).steer(plan) for _ in range(2)]
        with twice[0] as steered, twice[1]:
            return steered(**inputs)

    with pytest.raises(
        VectorError, match=r"the states after layer 1 hold a NaN or an infinity; the model itself computes them"
    ):
        read_states(call, bigcode.architecture, padded(bigcode.architecture, "left", 0, 0), [1])


# From pairs to vectors


@pytest.mark.parametrize("method", METHODS)
def test_what_is_planted_on_one_side_is_trained(target: Target, method: str) -> None:
    architecture = target.architecture
    planted = {layer: zero_mean(architecture.hidden_size, layer) for layer in (2,)}
    scales = iter([0.5, -0.5])

    def call(**inputs: Tensor) -> Any:
        with HooksAdapter(target.model, architecture).steer(SteeringPlan(planted, next(scales))) as steered:
            return steered(**inputs)

    inputs = [padded(architecture, side, 1, 7) for side in ("left", "right")]
    (found,) = train_vectors(call, architecture, *inputs, layers=[2], method=method).values()
    torch.testing.assert_close(found, planted[2], rtol=1e-3, atol=1e-3)


def test_layers_default_to_the_last_three_and_must_exist(bigcode: Target) -> None:
    inputs = padded(bigcode.architecture, "left", 0, 0)
    other = bigcode.architecture.model_inputs.inputs(inputs["input_ids"].flip(1), inputs["attention_mask"].flip(1))
    assert list(train_vectors(bigcode.model, bigcode.architecture, inputs, other)) == [1, 2, 3]
    with pytest.raises(VectorError, match=r"there is no decoder layer 4: transformer\.h has layers 0 to 3"):
        train_vectors(bigcode.model, bigcode.architecture, inputs, other, layers=[0, 4])


@pytest.mark.parametrize("position", [-1, 0, "mean"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_texts_give_what_their_tokens_give_one_by_one(worded: Worded, position: Any, batch_size: int | None) -> None:
    model_inputs = worded.architecture.model_inputs
    found = train_from_texts(
        worded.model, worded.architecture, worded.tokenizer, PAIRS, layers=[2], position=position, batch_size=batch_size
    )[2]
    states = []
    for side in (0, 1):
        texts = [model_inputs.inputs(torch.tensor([worded.tokenizer(pair[side])["input_ids"]])) for pair in PAIRS]
        reads = [read_states(worded.model, worded.architecture, text, [2], place=position)[2] for text in texts]
        states.append(torch.cat(reads))
    torch.testing.assert_close(found, difference_in_means(*states), rtol=1e-4, atol=1e-5)


def test_the_mean_of_an_answer_is_over_its_tokens_alone(worded: Worded) -> None:
    prompt, answers = "Is there a buffer overflow in this code?", (" Yes, the index is not checked.", " No.")
    found = train_from_texts(
        worded.model,
        worded.architecture,
        worded.tokenizer,
        [((prompt, answers[0]), (prompt, answers[1]))],
        layers=[2],
        position="answer",
    )[2]
    expected = []
    for answer in answers:
        ids = worded.tokenizer(prompt + answer)["input_ids"]
        count = len(worded.tokenizer(answer)["input_ids"])
        assert ids[-count:] == worded.tokenizer(answer)["input_ids"]
        inputs = worded.architecture.model_inputs.inputs(torch.tensor([ids]))
        with torch.no_grad():
            received = observe(
                worded.architecture,
                [2],
                lambda inputs=inputs: worded.model(**inputs),  # type: ignore[misc]
            ).received(2)
        expected.append(received[0, -count:].mean(0))
    torch.testing.assert_close(found, expected[0] - expected[1], rtol=1e-4, atol=1e-5)


def test_a_token_across_the_seam_belongs_to_the_answer(worded: Worded) -> None:
    (whole,) = worded.tokenizer("buffer")["input_ids"]
    tokens = tokenised(
        worded.architecture.model_inputs, worded.tokenizer, [("(buf", "fer"), ("(", "buffer")], answers=True
    )
    assert tokens.inputs["input_ids"][0, 1] == whole
    assert tokens.answers[:, 1].tolist() == [True, True]
    assert not tokens.answers[:, 0].any()


def test_a_model_that_takes_no_mask_is_trained_on_texts_of_unequal_length() -> None:
    target = load_target("pytest_steering.fixtures.anatomies:InSequential")
    architecture = target.architecture
    assert architecture.model_inputs.mask_name == ""
    found = train_from_texts(target.model, architecture, train_tokenizer(), [("!", "##")], layers=[1])[1]
    states = [
        read_states(target.model, architecture, architecture.model_inputs.inputs(torch.tensor([ids])), [1])[1]
        for ids in (train_tokenizer()("!")["input_ids"], train_tokenizer()("##")["input_ids"])
    ]
    torch.testing.assert_close(found, difference_in_means(*states), rtol=1e-4, atol=1e-5)


def test_a_tokenizer_of_another_model(bigcode: Target) -> None:
    sentence = r"the tokenizer has token \d+, and the model embeds \d+ tokens; use the model's own tokenizer"
    with pytest.raises(VectorError, match=sentence):
        train_from_texts(bigcode.model, bigcode.architecture, train_tokenizer(), PAIRS)


@pytest.mark.parametrize(
    ("pairs", "position", "sentence"),
    [
        ([], -1, "there are no pairs to train on"),
        (
            [("yes", "no")],
            "answer",
            r"on the positive side, text 0 has no answer to read; give it as \(prompt, answer\)",
        ),
        ([("yes", "")], -1, "on the negative side, text 0 has no tokens; leave it out"),
        ([("yes", "no")], 30, "on the positive side, row 0, of . tokens, has no token 30"),
    ],
    ids=["none", "no answer", "empty", "short"],
)
def test_texts_that_cannot_be_read(worded: Worded, pairs: Any, position: Any, sentence: str) -> None:
    with pytest.raises(VectorError, match=sentence):
        train_from_texts(worded.model, worded.architecture, worded.tokenizer, pairs, position=position)


def test_a_tokenizer_that_does_not_tell_characters_cannot_find_an_answer(bigcode: Target) -> None:
    class Bytes:
        def __call__(self, text: str) -> dict[str, list[int]]:
            return {"input_ids": list(text.encode())}

    def train(pair: Any, position: Any) -> dict[int, Tensor]:
        return train_from_texts(bigcode.model, bigcode.architecture, Bytes(), [pair], position=position)

    assert train(("%", "&&"), -1)[3].any()
    with pytest.raises(VectorError, match="Bytes does not tell which characters a token stands for; use the fast"):
        train((("%", "&"), ("%", "'")), "answer")


def test_progress_is_told_when_asked_for(worded: Worded, capsys: pytest.CaptureFixture[str]) -> None:
    train_from_texts(*worded, PAIRS)
    assert capsys.readouterr() == ("", "")
    train_from_texts(*worded, PAIRS, batch_size=2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading states: 100%" in err
    assert "6/6" in err


def test_the_hash_of_the_pairs_changes_with_any_of_them() -> None:
    hashes = {
        hash_pairs(pairs) for pairs in (PAIRS, PAIRS[::-1], PAIRS[1:], [(b, a) for a, b in PAIRS], [(("a", "b"), "c")])
    }
    assert len(hashes) == 5
    assert hash_pairs(PAIRS) == hash_pairs(list(PAIRS))


@pytest.mark.parametrize("package", ["gguf", "sklearn", "tqdm"])
def test_optional_packages_are_imported_when_they_are_needed(package: str) -> None:
    rooms = Path(vectors.__file__).parent.glob("*.py")
    at_once = [node for room in rooms for node in ast.parse(room.read_text(encoding="utf-8")).body]
    modules = {node.module or "" for node in at_once if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in at_once if isinstance(node, ast.Import) for alias in node.names}
    assert "torch" in modules
    assert package not in {module.partition(".")[0] for module in modules}


def test_a_package_that_is_not_installed_is_named(bigcode: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sklearn", "sklearn.linear_model", "tqdm"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(VectorError) as caught:
        logistic_probe(torch.eye(2), torch.zeros(2, 2))
    assert str(caught.value) == (
        "a logistic probe needs the package scikit-learn; run pip install 'pytest-steering[study]'"
    )
    inputs = padded(bigcode.architecture, "left", 0, 0)
    with pytest.raises(VectorError, match="a progress bar needs the package tqdm"):
        train_vectors(bigcode.model, bigcode.architecture, inputs, inputs, progress=True)
