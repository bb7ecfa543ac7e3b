from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers

from pytest_steering.errors import SpecError
from pytest_steering.targets.devices import parse_device, parse_dtype
from pytest_steering.targets.spec import SpecKind, check_spec, parse_spec, tiny_types

VERSION = transformers.__version__
FORMS = "a Hub id, a directory, a GGUF file, tiny:TYPE, config:DIRECTORY or module:callable"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        check_spec(parse_spec(text))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("gpt2", SpecKind.HUB, "gpt2"),
        ("bigcode/starcoder2-3b", SpecKind.HUB, "bigcode/starcoder2-3b"),
        ("./here", SpecKind.DIRECTORY, "./here"),
        ("../there", SpecKind.DIRECTORY, "../there"),
        ("/absolute/path", SpecKind.DIRECTORY, "/absolute/path"),
        ("~/models/one", SpecKind.DIRECTORY, "~/models/one"),
        ("~/models/one.gguf", SpecKind.GGUF, "~/models/one.gguf"),
        ("one.Q4_1.gguf", SpecKind.GGUF, "one.Q4_1.gguf"),
        ("tiny:llama", SpecKind.TINY, "llama"),
        ("tiny:roberta-prelayernorm", SpecKind.TINY, "roberta-prelayernorm"),
        ("config:./dir", SpecKind.CONFIG, "./dir"),
        ("my_pkg.models:build", SpecKind.CALLABLE, "my_pkg.models:build"),
        ("models:Factory.build", SpecKind.CALLABLE, "models:Factory.build"),
    ],
)
def test_kind_follows_from_form(text: str, kind: SpecKind, value: str) -> None:
    spec = parse_spec(text)
    assert (spec.text, spec.kind, spec.value) == (text, kind, value)


def test_existing_directory_wins_over_hub_id(tmp_path: Path) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert parse_spec("owner").kind is SpecKind.DIRECTORY
    assert parse_spec("owner/name").kind is SpecKind.DIRECTORY
    assert parse_spec("other/name").kind is SpecKind.HUB


@pytest.mark.parametrize("text", ["gpt2", "bigcode/starcoder2-3b", "Qwen/Qwen2.5-1.5B", "a/b_c.d-e"])
def test_hub_ids_are_accepted_unasked(text: str) -> None:
    check_spec(parse_spec(text))


@pytest.mark.parametrize("text", ["a/b/c", "owner/", "-x/y", "a--b", "two words", "tiny:", "what?"])
def test_what_can_be_nothing_is_refused(text: str) -> None:
    assert refusal(text)


def test_empty() -> None:
    assert refusal("") == f"the model spec is empty: give {FORMS}"
    assert refusal("  ") == f"the model spec is empty: give {FORMS}"


def test_no_hub_id() -> None:
    assert refusal("a/b/c") == (f"'a/b/c' is neither a directory nor a Hub id (name or owner/name): give {FORMS}")


def test_unknown_tiny_type_names_the_closest() -> None:
    sentence, _, closest = refusal("tiny:lama").partition("; did you mean ")
    assert sentence == f"tiny:lama: transformers {VERSION} has no language model type 'lama'"
    assert closest.startswith("tiny:llama")
    assert closest.endswith("?")
    assert refusal("tiny:xyzzyplugh") == (
        f"tiny:xyzzyplugh: transformers {VERSION} has no language model type 'xyzzyplugh'"
    )


def test_vision_only_type_is_no_language_model() -> None:
    assert refusal("tiny:vit").startswith(f"tiny:vit: transformers {VERSION} has no language model type 'vit'")


def test_tiny_without_a_type() -> None:
    assert refusal("tiny:") == "tiny: names no model type; give for example tiny:llama"


@pytest.mark.parametrize("text", ["tiny:*", "tiny:gpt?", "tiny:[ab]x"])
def test_pattern(text: str) -> None:
    assert refusal(text) == f"{text} is a pattern; give one type per spec, for example tiny:llama"


def test_every_known_type_is_accepted() -> None:
    for name in tiny_types():
        check_spec(parse_spec(f"tiny:{name}"))


def test_directory_that_is_missing(tmp_path: Path) -> None:
    assert refusal("./nothing") == (
        "./nothing: there is no such directory; give one that holds config.json and the weights"
    )
    (tmp_path / "my-checkpoint").mkdir()
    assert refusal("./my-chekpoint") == ("./my-chekpoint: there is no such directory; did you mean my-checkpoint?")
    (tmp_path / "owner").mkdir()
    assert refusal("owner/name") == (
        "owner/name: there is no such directory; for a Hub model of that name, run where there is no directory 'owner'"
    )


def test_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("")
    assert refusal("./weights") == ("./weights is a file; give the directory that holds config.json and the weights")


def test_directory_without_config(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refusal("./empty") == "./empty: the directory has no config.json, so it is no checkpoint"


def test_config_paths(tmp_path: Path) -> None:
    assert refusal("config:") == "config: names no path; give a directory with a config.json, or the file"
    assert refusal("config:./none") == "config:./none: there is no such file or directory"
    (tmp_path / "empty").mkdir()
    assert refusal("config:empty") == "config:empty: the directory has no config.json"
    (tmp_path / "torn.json").write_text('{"model_type": ')
    assert refusal("config:torn.json") == (
        "config:torn.json: torn.json is not valid JSON: Expecting value: line 1 column 16 (char 15)"
    )
    (tmp_path / "list.json").write_text("[]")
    assert refusal("config:list.json") == "config:list.json: list.json holds JSON of type list, not an object"
    (tmp_path / "good.json").write_text('{"model_type": "llama"}')
    check_spec(parse_spec("config:good.json"))


def test_callable_in_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "spec_local_module.py").write_text("class Factory:\n    @staticmethod\n    def build(): ...\n")
    check_spec(parse_spec("spec_local_module:Factory"))
    check_spec(parse_spec("spec_local_module:Factory.build"))
    assert refusal("spec_local_module:Factry") == (
        "spec_local_module:Factry: spec_local_module has no attribute 'Factry'; did you mean Factory?"
    )


def test_callable_that_cannot_be_had(tmp_path: Path) -> None:
    assert refusal("spec_no_such_module:build") == (
        "spec_no_such_module:build: there is no module 'spec_no_such_module'; "
        "it must be installed or in the current directory"
    )
    assert refusal("tinny:llama") == "tinny:llama: there is no module 'tinny'; did you mean tiny:llama?"
    (tmp_path / "spec_broken.py").write_text("1 / 0\n")
    assert refusal("spec_broken:build") == (
        "spec_broken:build: importing spec_broken failed: ZeroDivisionError: division by zero"
    )
    (tmp_path / "spec_needs.py").write_text("import spec_absent_dependency\n")
    assert refusal("spec_needs:build") == (
        "spec_needs:build: importing spec_needs failed: ModuleNotFoundError: No module named 'spec_absent_dependency'"
    )
    (tmp_path / "spec_exits.py").write_text("raise SystemExit(3)\n")
    assert refusal("spec_exits:build") == "spec_exits:build: importing spec_exits failed: SystemExit: 3"
    (tmp_path / "spec_data.py").write_text("build = 3\n")
    assert refusal("spec_data:build") == (
        "spec_data:build: build is of type int and cannot be called; "
        "name a callable that returns a torch.nn.Module or (model, tokenizer)"
    )


@pytest.mark.parametrize("text", ["float32", "bfloat16", "float16", "float64", "fp32", "bf16", "fp16", "fp64"])
def test_dtypes(text: str) -> None:
    parse_dtype(text)


@pytest.mark.parametrize("text", ["int8", "float", "torch.float32", ""])
def test_no_dtype(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_dtype(text)
    assert str(caught.value) == (
        f"{text!r} is no dtype to run a model in; "
        "give one of float64, float32, bfloat16, float16, fp64, fp32, bf16, fp16"
    )


def test_devices() -> None:
    parse_device("cpu")
    for text, sentence in {
        "toaster": "'toaster' is no device; give for example cpu, cuda or cuda:1",
        "meta": "the device meta holds no weights; for shapes alone, give the model config:DIRECTORY",
    }.items():
        with pytest.raises(SpecError) as caught:
            parse_device(text)
        assert str(caught.value) == sentence


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_device_that_this_machine_lacks() -> None:
    with pytest.raises(SpecError) as caught:
        parse_device("cuda")
    assert str(caught.value) == f"there is no cuda device here (torch {torch.__version__}); give cpu"


def test_parsing_imports_neither_torch_nor_transformers() -> None:
    code = (
        "import sys; from pytest_steering.targets.spec import *; check_spec(parse_spec('owner/name'));"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
