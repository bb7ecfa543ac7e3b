"""A GGUF file is a model like any other; what is torn, foreign or unreadable is one sentence."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pytest_steering.fixtures.checkpoint import write_checkpoint
from pytest_steering.fixtures.gguf_files import write_gguf

from conformance.selftest.places import TRAINED
from conformance.selftest.verdicts_of import verdicts
from pytest_steering import TargetError, load_target
from pytest_steering.errors import SpecError
from pytest_steering.targets.gguf_header import NotGGUF, header_of, parse_header

SOURCE = TRAINED / "qwen2"
TEXT = "def add(left, right):\n    return left + right\n"
AGAIN = "save or download it again"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "small.gguf", SOURCE)


def refusal(path: Path | str) -> str:
    with pytest.raises((TargetError, SpecError)) as raised:
        load_target(str(path))
    return str(raised.value)


def test_it_is_the_checkpoint_that_it_was_made_of(whole: Path) -> None:
    target, source = load_target(str(whole)), load_target(str(SOURCE))
    assert (target.trained, target.dtype, target.architecture.num_layers) == (True, torch.float32, 4)
    assert target.notes == ["dequantised by transformers from F32"]
    ids = torch.tensor([source.tokenizer(TEXT)["input_ids"]])
    assert target.tokenizer(TEXT)["input_ids"] == ids[0].tolist()
    assert target.tokenizer.decode(ids[0]) == TEXT
    assert torch.equal(target.model(ids).logits, source.model(ids).logits)


def test_weights_of_eight_bits_are_dequantised(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "q8.gguf", SOURCE, quantised=True)
    target, source = load_target(str(path), dtype="bfloat16"), load_target(str(SOURCE))
    assert target.notes == ["dequantised by transformers from F32, Q8_0"]
    assert {parameter.dtype for parameter in target.model.parameters()} == {torch.bfloat16}
    found, wanted = (next(each.model.parameters()).detach().float() for each in (target, source))
    assert 0 < float((found - wanted).abs().max()) < float(wanted.abs().max()) / 50


def test_a_directory_that_holds_nothing_else(tmp_path: Path, whole: Path) -> None:
    shutil.copy(whole, tmp_path / "one.gguf")
    assert load_target(str(tmp_path)).notes == ["dequantised by transformers from F32"]
    shutil.copy(whole, tmp_path / "two.gguf")
    assert refusal(tmp_path) == (
        f"{tmp_path}: the directory holds 2 GGUF files (one.gguf, two.gguf); give the path of one"
    )


def test_what_lies_beside_it_is_not_looked_at(tmp_path: Path, whole: Path) -> None:
    shutil.copy(whole, tmp_path / "one.gguf")
    for name in ("adapter_config.json", "config.json", "generation_config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{")
    assert load_target(str(tmp_path / "one.gguf")).tokenizer(TEXT)["input_ids"]
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    assert load_target(str(tmp_path)).trained, "a config without other weights"


def test_safetensors_come_first(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "checkpoint")
    (path / "model.gguf").write_bytes(b"GGUF")
    assert load_target(str(path)).notes == []


@pytest.mark.slow
def test_one_verdict(tmp_path: Path, whole: Path) -> None:
    chosen = "exact_delta or every_pass or model_left_alone or fresh_process"
    row = verdicts(tmp_path / "report.json", f"--steering-model={whole}", "-k", chosen)[f"{whole} hooks"]
    assert (row["verdict"], row["failed"]) == ("conforms", set())


def test_a_file_that_is_not_there(tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(whole, tmp_path / "small.gguf")
    monkeypatch.chdir(tmp_path)
    assert refusal("smal.gguf") == "smal.gguf: there is no such file; did you mean small.gguf?"
    assert refusal("other/x.gguf") == "other/x.gguf: there is no such file; download it, and give its path"
    assert refusal("x" * 300 + ".gguf").endswith("there is no such file; download it, and give its path")


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_a_package_that_is_missing(package: str, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert refusal(whole) == (
        f"{whole}: a GGUF file is read with the package {package}, which is not installed; "
        'install "pytest-steering[gguf]"'
    )


def test_an_architecture_that_transformers_does_not_read(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "other.gguf", SOURCE, architecture="plamo2")
    said = refusal(path)
    assert " reads no GGUF file of a 'plamo2'; it reads bloom, " in said
    path = write_gguf(tmp_path / "vector.gguf", SOURCE, architecture="controlvector")
    assert refusal(path) == f"{path}: vector.gguf holds a control vector and no model; give the model's file"


def test_a_model_that_generates_from_an_encoder(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "other.gguf", SOURCE, architecture="t5")
    assert refusal(path).startswith(f"{path}: transformers cannot load it: ")


def test_one_part_of_several(tmp_path: Path) -> None:
    path = tmp_path / "model-00001-of-00003.gguf"
    fields = [("general.architecture", 8, _text("llama")), ("split.count", 2, struct.pack("<H", 3))]
    path.write_bytes(_file(fields))
    assert refusal(path) == (
        f"{path}: {path.name} is one of 3 parts, and transformers reads no parts; "
        "put them together with llama-gguf-split --merge"
    )


def test_without_a_tokenizer_ids_are_drawn(tmp_path: Path) -> None:
    target = load_target(str(write_gguf(tmp_path / "mute.gguf", SOURCE, tokenizer=False)))
    assert target.tokenizer is None
    assert target.notes[1].startswith("its tokenizer cannot be read, so token ids are drawn at random: ")


def test_cut_short(tmp_path: Path, whole: Path) -> None:
    data, path = whole.read_bytes(), tmp_path / "cut.gguf"
    path.write_bytes(data[:-1000])
    assert refusal(path) == (
        f"{path}: cut.gguf is cut short: it has {len(data) - 1000:,} of {len(data):,} bytes, 1,000 are missing; {AGAIN}"
    )
    path.write_bytes(data[:5000])
    said = refusal(path)
    assert said.startswith(
        f"{path}: cut.gguf is no sound GGUF file: it is cut short: it has 5,000 bytes and says that it goes on to "
    )
    path.write_bytes(b"")
    assert refusal(path) == f"{path}: cut.gguf is no sound GGUF file: it is empty; {AGAIN}"


def test_tensors_that_are_missing_or_damaged(tmp_path: Path, whole: Path) -> None:
    data, path = whole.read_bytes(), tmp_path / "odd.gguf"
    path.write_bytes(data.replace(b"blk.2.ffn_up.weight", b"blk.2.ffn_uq.weight"))
    assert "the checkpoint lacks model.layers.2.mlp.up_proj.weight, which would be filled with random" in refusal(path)
    path.write_bytes(data[:-64] + struct.pack("<f", float("nan")) * 16)
    assert "NaN or infinite values of" in refusal(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html>", "it does not begin with GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "it is of version 1, "),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "it is of version 50331648, "),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**62), "it is cut short: it has 24 bytes"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**62, 0), "it is cut short: it has 24 bytes"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "it does not say of which architecture the model is"),
    ],
)
def test_headers_that_cannot_be(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(data)
    assert refusal(path).startswith(f"{path}: odd.gguf is no sound GGUF file: {said}")


def test_a_pointer_of_git_lfs(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    assert refusal(path) == (
        f"{path}: model.gguf is not the file itself but git-lfs's pointer to it; fetch it with git lfs pull"
    )


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _file(fields: list[tuple[str, int, bytes]], tensors: bytes = b"", count: int = 0) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, count, len(fields))
    return head + b"".join(_text(key) + struct.pack("<I", kind) + value for key, kind, value in fields) + tensors


_NESTED = struct.pack("<IQ", 9, 2**60) * 50
_VALUES = st.one_of(
    st.tuples(st.integers(0, 14), st.binary(max_size=24)),
    st.text(max_size=8).map(lambda text: (8, _text(text) if text.isascii() else text.encode())),
    st.tuples(st.integers(0, 13), st.sampled_from([0, 1, 3, 2**32, 2**62, 2**64 - 1]), st.binary(max_size=40)).map(
        lambda item: (9, struct.pack("<IQ", item[0], item[1]) + item[2])
    ),
    st.just((9, _NESTED)),
)
_KEYS = st.sampled_from(["general.architecture", "general.alignment", "split.count", "a"])
_TENSORS = st.tuples(
    st.text(max_size=4),
    st.lists(st.sampled_from([0, 1, 32, 2**33, 2**63]), max_size=6),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
).map(
    lambda item: (
        _text(item[0]) if item[0].isascii() else b"\xff" * 8,
        struct.pack(f"<I{len(item[1])}QIQ", len(item[1]), *item[1], item[2], item[3]),
    )
)


@settings(derandomize=True, deadline=None, database=None, max_examples=2000)
@given(
    st.lists(st.tuples(_KEYS, _VALUES).map(lambda item: (item[0], *item[1])), max_size=4),
    st.lists(_TENSORS, max_size=3),
    st.binary(max_size=40),
)
@example([("general.architecture", 8, _text("llama")), ("a", 9, _NESTED)], [], b"")
def test_any_file_is_read_or_refused(
    fields: list[tuple[str, int, bytes]], tensors: list[tuple[bytes, bytes]], rest: bytes
) -> None:
    data = _file(fields, b"".join(name + what for name, what in tensors) + rest, len(tensors))
    _read_or_refused(data)


@settings(derandomize=True, deadline=None, database=None, max_examples=600)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(whole: Path, data: st.DataObject) -> None:
    bytes_ = bytearray(whole.read_bytes()[:20_000])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(bytes_) - 1))
        bytes_[at] = data.draw(st.integers(0, 255))
    _read_or_refused(bytes(bytes_[: data.draw(st.integers(0, len(bytes_)))]))


def _read_or_refused(data: bytes) -> None:
    try:
        header = parse_header(data)
    except NotGGUF:
        return
    assert header.data_starts >= 24
    assert header.size == len(data)
    assert isinstance(header.architecture, str)


def test_the_header_agrees_with_the_package(whole: Path) -> None:
    import gguf  # noqa: PLC0415 (an optional package)

    header, reader = header_of("small", whole), gguf.GGUFReader(whole)
    assert header.data_starts == reader.data_offset
    assert header.architecture == "qwen2"
    assert [(tensor.name, tensor.elements, tensor.type) for tensor in header.tensors] == [
        (tensor.name, tensor.n_elements, tensor.tensor_type) for tensor in reader.tensors
    ]
    assert [header.data_starts + tensor.offset for tensor in header.tensors] == [
        tensor.data_offset for tensor in reader.tensors
    ]
