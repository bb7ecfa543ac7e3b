"""A quantised checkpoint as it lies on the Hub is a spec like any other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import transformers
from pytest_steering.fixtures.checkpoint import write_checkpoint
from pytest_steering.fixtures.kinds import awq

from conformance.selftest.verdicts_of import verdicts
from pytest_steering.targets.tiny.sizes import SMALL, Sizes


def _by_transformers(directory: Path, config: Any, sizes: Sizes = SMALL) -> Path:
    write_checkpoint(directory / "plain", sizes=sizes)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        directory / "plain", quantization_config=config, device_map="cpu"
    )
    path = directory / "quantised"
    model.save_pretrained(path)
    transformers.AutoTokenizer.from_pretrained(directory / "plain").save_pretrained(path)
    return path


def _bitsandbytes(directory: Path) -> Path:
    # On a CPU it takes no matrix with fewer than 32 rows; as many numbers share a scale as this model is wide.
    small = ["k_proj", "v_proj", "lm_head"]
    config = transformers.BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=small)
    return _by_transformers(directory, config, Sizes(hidden=64))


def _torchao(directory: Path) -> Path:
    from torchao.quantization import Int8WeightOnlyConfig  # noqa: PLC0415 (slow to import, and loud)

    return _by_transformers(directory, transformers.TorchAoConfig(Int8WeightOnlyConfig()))


def _compressed(way: str) -> Callable[[Path], Path]:
    def save(directory: Path) -> Path:
        from pytest_steering.fixtures.kinds import compressed  # noqa: PLC0415 (an optional package)

        return compressed.save(directory, way)

    return save


def _gptq(directory: Path) -> Path:
    write_checkpoint(directory / "plain", sizes=Sizes(hidden=64))
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory / "plain")
    # Its kernels take no matrix with fewer than 32 rows.
    large = [["self_attn.q_proj", "self_attn.o_proj"], ["mlp.c_proj"]]
    config = transformers.GPTQConfig(
        bits=4,
        dataset=["int main(void) { return strlen(text); } " * 8] * 4,
        tokenizer=tokenizer,
        group_size=32,
        modules_in_block_to_quantize=large,
    )
    with warnings.catch_warnings():
        # What quantises asks transformers by names of before.
        warnings.simplefilter("ignore")
        return _by_transformers(directory, config, Sizes(hidden=64))


WAYS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "bitsandbytes": ("bitsandbytes", _bitsandbytes),
    "torchao": ("torchao", _torchao),
    "gptq": ("gptqmodel", _gptq),
    "awq": ("gptqmodel", awq.save),
    "packed": ("compressed_tensors", _compressed("packed")),
    "integers": ("compressed_tensors", _compressed("integers")),
    "floats": ("compressed_tensors", _compressed("floats")),
}
"""The package that a checkpoint is made with, and how."""


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_right_adapter_conforms(way: str, tmp_path: Path) -> None:
    package, save = WAYS[way]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: tox -e {'gptq' if package == 'gptqmodel' else 'models'}")
    path = save(tmp_path)
    found = verdicts(
        tmp_path / "report.json",
        f"--steering-model={path}",
        *(
            "-k",
            "layers_found or exact_delta or left_alone or every_pass or padded or two_models or repeats or states",
        ),
        PYTEST_ADDOPTS="-W ignore",
    )
    row = found[f"{path} hooks"]
    assert (row["failed"], row["verdict"]) == (set(), "conforms")
