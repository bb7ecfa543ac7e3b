"""Control vectors for llama.cpp and repeng: the layer numbers are theirs and ours, and only such files are read."""

from __future__ import annotations

import struct
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from torch import Tensor

from conformance.selftest.vectors.small_vectors import WIDE, made
from pytest_steering import Architecture, load_target
from pytest_steering.vectors import VectorError, load_gguf, load_vectors, save_gguf


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    return load_target("tiny:gpt_bigcode").architecture


def repeng_writes(
    path: Path, directions: dict[Any, Any], *, kind: str = "controlvector", hint: str | None = "gpt_bigcode"
) -> Path:
    """A control vector as repeng's export writes it: hint, number of directions, tensors in the order of training."""
    writer = gguf.GGUFWriter(path, kind)
    if hint is not None:
        writer.add_string(f"{kind}.model_hint", hint)
        writer.add_uint32(f"{kind}.layer_count", len(directions))
    for layer, direction in directions.items():
        writer.add_tensor(layer if isinstance(layer, str) else f"direction.{layer}", direction)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def llama_cpp_adds(path: Path, layers: int) -> dict[int, Any]:
    """What llama.cpp adds after each layer: its loader's buffer starts at layer 1, and each layer reads one before."""
    buffer = np.zeros((layers, WIDE), dtype=np.float32)
    for tensor in gguf.GGUFReader(path).tensors:
        number = int(tensor.name.removeprefix("direction."))
        assert number > 0, "invalid (zero) direction tensor layer index"
        assert tensor.tensor_type == gguf.GGMLQuantizationType.F32
        assert tensor.data.shape == (WIDE,)
        buffer[number - 1] += tensor.data
    return {layer: buffer[layer - 1] for layer in range(1, layers) if buffer[layer - 1].any()}


def repeng_reads(path: Path) -> tuple[str, dict[int, Any]]:
    reader = gguf.GGUFReader(path)
    hint = str(bytes(reader.get_field("controlvector.model_hint").parts[-1]), encoding="utf-8")
    named = [tensor for tensor in reader.tensors if tensor.name.startswith("direction.")]
    return hint, {int(tensor.name.split(".")[1]): tensor.data for tensor in named}


def refusal(path: Path, architecture: Architecture, **options: bool) -> str:
    with pytest.raises(VectorError) as caught:
        load_vectors(path, architecture, **options)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


# Writing


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_round_trip(architecture: Architecture, dtype: torch.dtype, tmp_path: Path) -> None:
    vectors = made(3, 1, dtype=dtype)
    save_gguf(tmp_path / "a.gguf", vectors, architecture, method="pca")
    for loaded in (load_gguf(tmp_path / "a.gguf", architecture), load_vectors(tmp_path / "a.gguf", architecture)):
        assert sorted(loaded) == [1, 3]
        assert all(torch.equal(loaded[layer], vectors[layer].float()) for layer in vectors)
    assert [file.name for file in tmp_path.iterdir()] == ["a.gguf"]


def test_llama_cpp_adds_each_vector_after_its_layer(architecture: Architecture, tmp_path: Path) -> None:
    vectors = made(1, 3)
    save_gguf(tmp_path / "a.gguf", vectors, architecture, method="pca")
    added = llama_cpp_adds(tmp_path / "a.gguf", architecture.num_layers)
    assert sorted(added) == [1, 3]
    assert all(np.array_equal(added[layer], vectors[layer].numpy()) for layer in vectors)


def test_repeng_reads_it(architecture: Architecture, tmp_path: Path) -> None:
    vectors = made(1, 3)
    save_gguf(tmp_path / "a.gguf", vectors, architecture, method="pca")
    hint, directions = repeng_reads(tmp_path / "a.gguf")
    assert hint == "gpt_bigcode"
    assert directions.keys() == vectors.keys()
    assert all(np.array_equal(directions[layer], vectors[layer].numpy()) for layer in vectors)
    assert gguf.GGUFReader(tmp_path / "a.gguf").get_field("controlvector.layer_count").contents() == 2


@pytest.mark.parametrize(
    ("vectors", "sentence"),
    [
        (
            {0: torch.ones(WIDE), 1: torch.ones(WIDE)},
            "llama.cpp has no control vector for layer 0 .* leave layer 0 out",
        ),
        ({4: torch.ones(WIDE)}, "there is no decoder layer 4"),
        ({1: torch.full((WIDE,), 1e300, dtype=torch.float64)}, "the vector of layer 1 holds a NaN or an infinity"),
        ({}, "there are no steering vectors"),
    ],
    ids=["zero", "deep", "overflow", "none"],
)
def test_what_llama_cpp_could_not_use_is_not_written(
    architecture: Architecture, vectors: dict[int, Tensor], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(VectorError, match=sentence):
        save_gguf(tmp_path / "a.gguf", vectors, architecture, method="pca")
    assert not list(tmp_path.iterdir())


def test_a_model_whose_graph_adds_no_control_vector(architecture: Architecture, tmp_path: Path) -> None:
    """The file is written all the same: repeng reads it."""
    target = load_target("tiny:hy_v4")
    vectors = {1: torch.ones(target.architecture.hidden_size)}
    with pytest.warns(UserWarning, match="a.gguf is written, and llama.cpp will ignore it: its graph of a hy_v4"):
        save_gguf(tmp_path / "a.gguf", vectors, target.architecture, method="pca")
    assert repeng_reads(tmp_path / "a.gguf")[1].keys() == {1}


# Reading


@pytest.mark.parametrize("kind", ["controlvector", "steervector"])
def test_what_repeng_and_those_after_it_write_is_read(architecture: Architecture, kind: str, tmp_path: Path) -> None:
    vectors = made(3, 2, 1)
    path = repeng_writes(tmp_path / "a.gguf", {layer: v.numpy() for layer, v in vectors.items()}, kind=kind)
    loaded = load_vectors(path, architecture)
    assert loaded.keys() == vectors.keys()
    assert all(torch.equal(loaded[layer], vectors[layer]) for layer in vectors)


def test_what_is_loaded_outlives_the_file(architecture: Architecture, tmp_path: Path) -> None:
    path = repeng_writes(tmp_path / "a.gguf", {1: np.ones(WIDE, np.float32)})
    loaded = load_vectors(path, architecture)
    loaded[1] += 1
    path.write_bytes(b"")
    assert torch.equal(loaded[1], torch.full((WIDE,), 2.0))


def test_layer_0_and_other_floats_are_read_where_repeng_wrote_them(architecture: Architecture, tmp_path: Path) -> None:
    directions = {0: np.ones(WIDE, np.float16), 2: np.full(WIDE, 0.5, np.float64)}
    loaded = load_vectors(repeng_writes(tmp_path / "a.gguf", directions), architecture)
    assert {layer: (vector.dtype, float(vector[0])) for layer, vector in loaded.items()} == {
        0: (torch.float32, 1.0),
        2: (torch.float32, 0.5),
    }


def test_a_file_without_any_metadata_is_told_by_its_tensors(architecture: Architecture, tmp_path: Path) -> None:
    name = b"direction.2"
    data = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", len(name)) + name
    data += struct.pack("<IQIQ", 1, WIDE, 0, 0)
    data += b"\0" * (-len(data) % 32) + np.ones(WIDE, np.float32).tobytes()
    (tmp_path / "a.gguf").write_bytes(data)
    assert torch.equal(load_vectors(tmp_path / "a.gguf", architecture)[2], torch.ones(WIDE))


def test_big_endian(architecture: Architecture, tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "controlvector", endianess=gguf.GGUFEndian.BIG)
    writer.add_tensor("direction.1", np.arange(WIDE, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    loaded = load_vectors(tmp_path / "a.gguf", architecture)
    assert torch.equal(loaded[1], torch.arange(WIDE, dtype=torch.float32))


def test_another_model_is_told_by_the_fingerprint(tmp_path: Path) -> None:
    starcoder, qwen = (load_target(f"tiny:{name}").architecture for name in ("starcoder2", "qwen2"))
    save_gguf(tmp_path / "a.gguf", made(1), starcoder, method="pca")
    assert "made for a model with model_type=starcoder2; this one has qwen2;" in refusal(tmp_path / "a.gguf", qwen)
    deeper = replace(starcoder, decoder_layers=starcoder.decoder_layers * 2)
    assert "made for a model with num_layers=4; this one has 8;" in refusal(tmp_path / "a.gguf", deeper)


def floats(*shape: int) -> Any:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(
    ("directions", "kind", "sentence"),
    [
        (
            {1: floats(WIDE)},
            "llama",
            " is a GGUF file of a 'llama', not of a control vector; give the control vector's",
        ),
        (
            {1: floats(64)},
            "controlvector",
            ": the vector of layer 1 has 64 elements; the residual stream of transformer",
        ),
        ({4: floats(WIDE)}, "controlvector", ": there is no decoder layer 4: transformer.h has layers 0 to 3"),
        ({1: floats(2, WIDE)}, "controlvector", ": the vector of layer 1 has shape (2, 32); it must be (32,)"),
        ({1: np.full(WIDE, np.inf, np.float32)}, "controlvector", ": the vector of layer 1 holds a NaN or an infinity"),
        ({}, "controlvector", ": there are no steering vectors in it"),
        ({"blk.1.weight": floats(WIDE)}, "controlvector", ": the tensor 'blk.1.weight' is no direction of a layer"),
        ({"direction.-1": floats(WIDE)}, "controlvector", ": the tensor 'direction.-1' is no direction of a layer"),
        ({1: floats(WIDE), "direction.01": floats(WIDE)}, "controlvector", " holds two vectors for layer 1; keep one"),
        (
            {1: np.ones(WIDE, np.int32)},
            "controlvector",
            " cannot be read as GGUF: direction.1 is of type I32, and llama",
        ),
    ],
    ids=["model", "wide", "deep", "matrix", "infinite", "none", "weight", "negative", "twice", "whole"],
)
def test_what_is_no_control_vector_for_this_model(
    architecture: Architecture, directions: dict[Any, Any], kind: str, sentence: str, tmp_path: Path
) -> None:
    assert refusal(repeng_writes(tmp_path / "a.gguf", directions, kind=kind), architecture).startswith(sentence)


def test_quantised_directions(architecture: Architecture, tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "controlvector")
    packed = gguf.quantize(floats(1, WIDE), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("direction.1", packed[0], raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "direction.1 is of type Q8_0, and llama.cpp takes F32 alone" in refusal(tmp_path / "a.gguf", architecture)


def test_a_tensor_that_was_lost(architecture: Architecture, tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    save_gguf(path, made(1, 2), architecture, method="pca")
    fingerprint = gguf.GGUFReader(path).get_field("pytest_steering.fingerprint").contents()
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("pytest_steering.fingerprint", fingerprint)
    writer.add_tensor("direction.1", floats(WIDE))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert refusal(path, architecture) == (
        " holds vectors of layers [1] and was saved with [1, 2]; save the vectors again"
    )


def test_a_file_that_is_cut_short_anywhere(architecture: Architecture, tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    save_gguf(path, made(1, 2), architecture, method="pca")
    whole = path.read_bytes()
    data = gguf.GGUFReader(path).tensors[-1]
    for size in [*range(0, int(data.data_offset), 7), data.data_offset + data.n_bytes - 1]:
        path.write_bytes(whole[:size])
        assert " cannot be read as GGUF: " in refusal(path, architecture)
    path.write_bytes(whole)
    assert load_vectors(path, architecture)


def test_a_file_with_any_byte_changed_is_read_or_refused(architecture: Architecture, tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    save_gguf(path, made(1, 2), architecture, method="pca")
    whole = path.read_bytes()
    header = int(gguf.GGUFReader(path).data_offset)
    for place in range(0, header, 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with suppress(VectorError):
            load_gguf(path, architecture)


def claims(field: bytes) -> bytes:
    """A header of no tensors and one field."""
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"k" + field


HOSTILE = {
    "endless array": claims(struct.pack("<IIQ", 9, 4, 2**60)),
    "endless array of texts": claims(struct.pack("<IIQ", 9, 8, 2**60)),
    "endless text": claims(struct.pack("<IQ", 8, 2**63)),
    "endless fields": b"GGUF" + struct.pack("<IQQ", 3, 0, 2**62),
    "endless tensors": b"GGUF" + struct.pack("<IQQ", 3, 2**62, 0),
    "arrays in arrays": claims(struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100_000),
    "a tensor beyond the end": b"GGUF"
    + struct.pack("<IQQ", 3, 1, 0)
    + struct.pack("<Q", 11)
    + b"direction.1"
    + struct.pack("<IQIQ", 1, 32, 0, 2**63),
    "a tensor of more than there is": b"GGUF"
    + struct.pack("<IQQ", 3, 1, 0)
    + struct.pack("<Q", 11)
    + b"direction.1"
    + struct.pack("<IQQIQ", 2, 2**33, 2**33, 0, 0),
    "another version": b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
    "nothing": b"GGUF",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_at_once(architecture: Architecture, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(content)
    assert " cannot be read as GGUF: " in refusal(tmp_path / "a.gguf", architecture)


def test_a_gguf_by_name_alone(architecture: Architecture, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"no such thing")
    assert refusal(tmp_path / "a.gguf", architecture).startswith(" cannot be read as GGUF: GGUF magic invalid")
    with pytest.raises(VectorError, match="cannot be read"):
        load_gguf(tmp_path / "none.gguf", architecture)


def test_a_package_that_is_not_installed_is_named(
    architecture: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = repeng_writes(tmp_path / "a.gguf", {1: floats(WIDE)})
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(VectorError, match=r"a control vector for llama\.cpp needs the package gguf; run pip install"):
        load_vectors(path, architecture)
