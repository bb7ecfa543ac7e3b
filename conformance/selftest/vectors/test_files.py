"""Files of vectors: saved whole with a fingerprint, loaded bit for bit where they fit, refused with a sentence."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from conformance.selftest.vectors.small_vectors import WIDE, made
from pytest_steering import Architecture, SteeringError, load_target
from pytest_steering._version import SUITE_VERSION
from pytest_steering.vectors import FORMAT, VectorError, hash_pairs, load_vectors, read_fingerprint, save_vectors, stack


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    """GPTBigCode: four layers at ``transformer.h``, 32 wide."""
    return load_target("tiny:gpt_bigcode").architecture


def refusal(path: Path, architecture: Architecture, **options: bool) -> str:
    with pytest.raises(VectorError) as caught:
        load_vectors(path, architecture, **options)
    assert isinstance(caught.value, SteeringError)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_what_is_saved_is_loaded_bit_for_bit(architecture: Architecture, dtype: torch.dtype, tmp_path: Path) -> None:
    vectors = made(3, 0, 2, dtype=dtype)
    save_vectors(tmp_path / "a.safetensors", vectors, architecture, method="pca")
    loaded = load_vectors(tmp_path / "a.safetensors", architecture)
    assert loaded.keys() == vectors.keys()
    assert all(torch.equal(loaded[layer], vectors[layer]) and loaded[layer].dtype == dtype for layer in vectors)
    assert torch.equal(stack(loaded), torch.stack([vectors[0], vectors[2], vectors[3]]))


def test_views_of_one_tensor_are_saved_as_vectors_of_their_own(architecture: Architecture, tmp_path: Path) -> None:
    whole = torch.randn(2 * WIDE, requires_grad=True)
    vectors = {0: whole[::2], 1: whole[:WIDE], 2: whole[WIDE:], 3: whole[:WIDE]}
    save_vectors(tmp_path / "a.safetensors", vectors, architecture, method="pca")
    loaded = load_vectors(tmp_path / "a.safetensors", architecture)
    assert all(torch.equal(loaded[layer], vectors[layer]) for layer in vectors)


def test_the_fingerprint_tells_the_model_and_the_making(architecture: Architecture, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    pairs = [("yes", "no")]
    made_by = {"method": "logistic-probe", "position": -1, "data_hash": hash_pairs(pairs), "model": "bigcode/tiny"}
    save_vectors(path, made(2, 1), architecture, **made_by)  # type: ignore[arg-type]
    found = read_fingerprint(path)
    assert (found.hidden_size, found.num_layers, found.layers_path) == (32, 4, "transformer.h")
    assert (found.model_type, found.model, found.layers, found.dtype) == (
        "gpt_bigcode",
        "bigcode/tiny",
        (1, 2),
        "float32",
    )
    assert (found.method, found.position, found.suite) == ("logistic-probe", "-1", SUITE_VERSION)
    assert found.data_hash == hash_pairs(pairs)
    assert len(found.config_hash) == 64


def test_the_first_format_is_still_read(architecture: Architecture, tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    fingerprint = {"hidden_size": 32, "num_layers": 4, "layers_path": "transformer.h", "method": "seeded"}
    metadata = {"format": "pytest-steering vectors 1", "fingerprint": json.dumps(fingerprint, sort_keys=True)}
    vectors = made(1, 3)
    save_file({f"layer.{layer}": vector for layer, vector in vectors.items()}, path, metadata=metadata)
    loaded = load_vectors(path, architecture)
    assert all(torch.equal(loaded[layer], vectors[layer]) for layer in (1, 3))
    assert read_fingerprint(path).method == "seeded"
    message = refusal(path, replace(architecture, layers_path="model.layers"))
    assert "layers_path=transformer.h; this one has model.layers" in message


# Another model


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"hidden_size": 64},
            " was made for a model with hidden_size=32; this one has 64; train vectors on this model",
        ),
        ({"layers_path": "model.layers"}, " was made for a model with layers_path=transformer.h; this one has model."),
    ],
    ids=["width", "path"],
)
def test_vectors_of_another_model(
    architecture: Architecture, change: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    save_vectors(tmp_path / "a.safetensors", made(1), architecture, method="pca")
    assert sentence in refusal(tmp_path / "a.safetensors", replace(architecture, **change))


def test_vectors_of_another_depth(architecture: Architecture, tmp_path: Path) -> None:
    save_vectors(tmp_path / "a.safetensors", made(1), architecture, method="pca")
    shallow = replace(architecture, decoder_layers=architecture.decoder_layers[:3])
    assert "made for a model with num_layers=4; this one has 3;" in refusal(tmp_path / "a.safetensors", shallow)


def test_vectors_of_a_model_of_the_same_sizes_and_names(tmp_path: Path) -> None:
    starcoder, qwen = (load_target(f"tiny:{name}").architecture for name in ("starcoder2", "qwen2"))
    assert (starcoder.layers_path, starcoder.hidden_size) == (qwen.layers_path, qwen.hidden_size)
    save_vectors(tmp_path / "a.safetensors", made(1), starcoder, method="pca")
    message = refusal(tmp_path / "a.safetensors", qwen)
    assert "made for a model with model_type=starcoder2; this one has qwen2;" in message


def test_a_model_of_another_config_is_refused_when_asked(tmp_path: Path) -> None:
    one, other = load_target("tiny:gpt_bigcode"), load_target("tiny:gpt_bigcode")
    config: Any = other.model.config
    config.n_inner = 77
    save_vectors(tmp_path / "a.safetensors", made(1), one.architecture, method="pca")
    assert load_vectors(tmp_path / "a.safetensors", other.architecture)
    assert load_vectors(tmp_path / "a.safetensors", one.architecture, same_config=True)
    assert "made for a model with config_hash=" in refusal(
        tmp_path / "a.safetensors", other.architecture, same_config=True
    )


def test_what_changes_no_weight_changes_no_hash(tmp_path: Path) -> None:
    target = load_target("tiny:gpt_bigcode")
    save_vectors(tmp_path / "a.safetensors", made(1), target.architecture, method="pca")
    config: Any = target.model.config
    config.use_cache, config._name_or_path = False, "elsewhere"
    assert load_vectors(tmp_path / "a.safetensors", target.architecture, same_config=True)


# Files that do not hold what they should


def written(path: Path, tensors: dict[str, Tensor], layers: list[int] | None = None, **fingerprint: Any) -> Path:
    """A file of this format as a careless program would write it."""
    found = {"hidden_size": 32, "num_layers": 4, "layers_path": "transformer.h", "layers": layers or [1]}
    metadata = {"format": FORMAT, "fingerprint": json.dumps(found | fingerprint)}
    save_file(tensors, path, metadata=metadata)
    return path


def nan() -> Tensor:
    vector = torch.ones(WIDE)
    vector[5] = torch.nan
    return vector


CASES: dict[str, tuple[dict[str, Tensor], list[int], str]] = {
    "no layer": ({"layer.4": torch.ones(32)}, [4], ": there is no decoder layer 4: transformer.h has layers 0 to 3"),
    "narrow": ({"layer.1": torch.ones(31)}, [1], ": the vector of layer 1 has 31 elements; the residual stream"),
    "matrix": ({"layer.1": torch.ones(2, 32)}, [1], ": the vector of layer 1 has shape (2, 32); it must be (32,)"),
    "scalar": ({"layer.1": torch.tensor(1.0)}, [1], ": the vector of layer 1 has shape (); it must be (32,)"),
    "nan": ({"layer.1": nan()}, [1], ": the vector of layer 1 holds a NaN or an infinity; train it again"),
    "whole": ({"layer.1": torch.ones(32, dtype=torch.int64)}, [1], ": the vector of layer 1 holds torch.int64; a"),
    "missing": ({"layer.1": torch.ones(32)}, [1, 2], " holds vectors of layers [1] and was saved with [1, 2];"),
    "more": ({f"layer.{n}": torch.ones(32) for n in (1, 2)}, [1], " holds vectors of layers [1, 2] and was saved"),
    "twice": ({"layer.1": torch.ones(32), "layer.01": torch.ones(32)}, [1], " holds two vectors for layer 1; keep"),
    "named": ({"bias": torch.ones(32)}, [1], ": the tensor 'bias' names no decoder layer; rename it to one of N, "),
    "negative": ({"layer.-1": torch.ones(32)}, [1], ": the tensor 'layer.-1' names no decoder layer"),
    "empty": ({}, [], " holds vectors of layers [] and was saved with [1]"),
}


@pytest.mark.parametrize(("tensors", "layers", "sentence"), CASES.values(), ids=CASES)
def test_what_is_wrong_inside(
    architecture: Architecture, tensors: dict[str, Tensor], layers: list[int], sentence: str, tmp_path: Path
) -> None:
    assert refusal(written(tmp_path / "a.safetensors", tensors, layers), architecture).startswith(sentence)


@pytest.mark.parametrize(
    "fingerprint",
    ["", "{", "[]", "null", "7", '{"hidden_size": 32}', '{"hidden_size": "32", "num_layers": 4, "layers_path": ""}',
     '{"hidden_size": 32, "num_layers": 4, "layers_path": 5}', "[" * 100_000],
    ids=["none", "torn", "list", "null", "number", "part", "text", "path", "deep"],
)  # fmt: skip
def test_a_fingerprint_that_cannot_be_read(architecture: Architecture, fingerprint: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"layer.1": torch.ones(32)}, path, metadata={"format": FORMAT, "fingerprint": fingerprint})
    assert ": the fingerprint cannot be read" in refusal(path, architecture)


def test_a_file_that_is_cut_short_anywhere(architecture: Architecture, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_vectors(path, made(1, 2), architecture, method="pca")
    whole = path.read_bytes()
    for size in (0, 1, 7, 8, 100, len(whole) - 4 * WIDE, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert " cannot be read as safetensors: " in refusal(path, architecture)
    path.write_bytes(whole)
    assert load_vectors(path, architecture)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff" * 64, " cannot be read as safetensors: "),
        (b'{"layer.1": [0.5, 0.5]}', " cannot be read as safetensors: "),
    ],
    ids=["bytes", "json"],
)
def test_a_file_of_another_format(architecture: Architecture, content: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert sentence in refusal(path, architecture)


def test_a_file_that_is_not_there(architecture: Architecture, tmp_path: Path) -> None:
    missing = refusal(tmp_path / "none.safetensors", architecture)
    assert missing == " cannot be read: No such file or directory; give a .safetensors or .gguf file"
    assert " cannot be read: Is a directory;" in refusal(tmp_path, architecture)


# Files of others


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def torch_saved(value: Any, path: Path) -> None:
    torch.save(value, path)


def old_torch_saved(value: Any, path: Path) -> None:
    torch.save(value, path, _use_new_zipfile_serialization=False)


def pickled(value: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(value))


def first_pickled(value: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(value, protocol=0))


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (torch_saved, "a.pt"),
        (torch_saved, "a.safetensors"),
        (old_torch_saved, "a"),
        (pickled, "a.pkl"),
        (pickled, "a.gguf"),
        (first_pickled, "a.pickle"),
    ],
)
def test_a_pickle_is_refused_unread(
    architecture: Architecture, write: Callable[[Any, Path], None], name: str, tmp_path: Path
) -> None:
    write({1: torch.ones(WIDE), "trap": Trap(tmp_path / "sprung")}, tmp_path / name)
    message = refusal(tmp_path / name, architecture)
    assert message == (
        " is a pickle, and reading a pickle can run code; whoever made it can save it with "
        "safetensors.torch.save_file({'layer.N': vector, ...}, 'vectors.safetensors')"
    )
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(VectorError, match="is a pickle"):
        read_fingerprint(tmp_path / name)


def test_the_trap_is_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").is_dir()


@pytest.mark.parametrize("name", ["3", "layer.3", "layers.3", "layer_3", "direction.3", "vector.3", "transformer.h.3"])
@pytest.mark.parametrize("shape", [(32,), (1, 32)])
def test_safetensors_of_others_whose_names_mean_layers(
    architecture: Architecture, name: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    vector = made(3)[3]
    save_file({name: vector.reshape(shape)}, tmp_path / "a.safetensors", metadata={"format": "pt"})
    assert torch.equal(load_vectors(tmp_path / "a.safetensors", architecture)[3], vector)
    with pytest.raises(VectorError, match="has no fingerprint of this format"):
        read_fingerprint(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "name", ["model.layers[3].mlp", "transformer.h.3.mlp", "model.layers.3", "layer.3.1", "steering_vector", "3.0", "²"]
)
def test_names_that_do_not_say_what_a_layer_emits(architecture: Architecture, name: str, tmp_path: Path) -> None:
    save_file({name: torch.ones(WIDE)}, tmp_path / "a.safetensors")
    assert "names no decoder layer; rename it to one of N, layer.N, " in refusal(
        tmp_path / "a.safetensors", architecture
    )


def test_safetensors_of_others_that_do_not_fit(architecture: Architecture, tmp_path: Path) -> None:
    save_file({"3": torch.ones(64)}, tmp_path / "a.safetensors")
    assert "the vector of layer 3 has 64 elements; the residual stream of transformer.h is 32 wide" in refusal(
        tmp_path / "a.safetensors", architecture
    )
    save_file({}, tmp_path / "a.safetensors")
    assert refusal(tmp_path / "a.safetensors", architecture).startswith(": there are no steering vectors in it")


def test_a_numpy_array_names_no_layers(architecture: Architecture, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04")
    assert " is a NumPy array, which names no layers; save it as safetensors" in refusal(
        tmp_path / "a.npz", architecture
    )


# Writing


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        ({}, "there are no steering vectors in it"),
        ({4: torch.ones(32)}, "there is no decoder layer 4"),
        ({1: torch.ones(16)}, "the vector of layer 1 has 16 elements"),
        ({1: nan()}, "the vector of layer 1 holds a NaN"),
    ],
    ids=["none", "layer", "width", "nan"],
)
def test_vectors_that_do_not_fit_are_not_saved(
    architecture: Architecture, vectors: dict[int, Tensor], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(VectorError, match=sentence):
        save_vectors(tmp_path / "a.safetensors", vectors, architecture, method="pca")
    assert not list(tmp_path.iterdir())


def test_a_save_that_fails_leaves_what_was_there(
    architecture: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    save_vectors(path, made(1), architecture, method="first")

    whole = Path.write_bytes

    def torn(self: Path, data: Any) -> None:
        whole(self, b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(KeyboardInterrupt):
        save_vectors(path, made(2), architecture, method="second")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert read_fingerprint(path).method == "first"
    assert list(load_vectors(path, architecture)) == [1]


def test_the_file_is_plain_safetensors(architecture: Architecture, tmp_path: Path) -> None:
    save_vectors(tmp_path / "a.safetensors", made(1, 3), architecture, method="pca")
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        assert sorted(file.keys()) == ["layer.1", "layer.3"]
        assert file.metadata()["format"] == FORMAT
