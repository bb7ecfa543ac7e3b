"""A quantised checkpoint as it lies on the Hub is a spec like any other."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import transformers
from pytest_steering.fixtures.checkpoint import write_checkpoint

from conformance.selftest.verdicts_of import verdicts


def _bitsandbytes() -> Any:
    return transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")


def _torchao() -> Any:
    from torchao.quantization import Int8WeightOnlyConfig  # noqa: PLC0415 (slow to import, and loud)

    return transformers.TorchAoConfig(Int8WeightOnlyConfig())


WAYS: dict[str, Callable[[], Any]] = {"bitsandbytes": _bitsandbytes, "torchao": _torchao}


@pytest.mark.slow
@pytest.mark.parametrize("package", WAYS)
def test_a_right_adapter_conforms(package: str, tmp_path: Path) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'pytest-steering[models]'")
    write_checkpoint(tmp_path / "plain")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=WAYS[package](), device_map="cpu"
    )
    path = tmp_path / "quantised"
    model.save_pretrained(path)
    transformers.AutoTokenizer.from_pretrained(tmp_path / "plain").save_pretrained(path)
    found = verdicts(
        tmp_path / "report.json",
        f"--steering-model={path}",
        *("-k", "layers_found or exact_delta or left_alone or every_pass or padded or two_models"),
        PYTEST_ADDOPTS="-W ignore",
    )
    row = found[f"{path} hooks"]
    assert (row["failed"], row["verdict"]) == (set(), "conforms")
