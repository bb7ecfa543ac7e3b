from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
import torch
from pytest_steering.fixtures.checkpoint import write_checkpoint
from safetensors.torch import load_file, save_file

from pytest_steering import TargetError, load_target
from pytest_steering.targets import memory
from pytest_steering.targets.checkpoint import check_weights
from pytest_steering.targets.memory import Workload, available_bytes, check_fits, parameter_bytes, plan_workload
from pytest_steering.targets.tiny.models import tiny_model

CPU = torch.device("cpu")
# StarCoder2-15B: what its config.json says.
BIG = {"hidden_size": 6144, "num_layers": 40, "vocab_size": 49152, "device": CPU}


def test_available_is_within_the_machine() -> None:
    assert 0 < available_bytes(CPU) <= psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"memory.max": "1000", "memory.current": "900", "memory.stat": "inactive_file 50\nactive_file 20\n"}, 170),
        ({"memory.max": "max", "memory.current": "900", "memory.stat": "inactive_file 50\n"}, None),
        ({}, None),
    ],
)
def test_limit_of_the_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], expected: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    if expected is None:
        assert available_bytes(CPU) > 1000
    else:
        assert available_bytes(CPU) == expected


def test_parameters_that_are_shared_count_once() -> None:
    model = tiny_model("gpt2")
    unique = {id(tensor): tensor.nbytes for tensor in (*model.parameters(), *model.buffers())}
    assert parameter_bytes(model) == sum(unique.values())


def test_checkpoint_bytes_follow_the_dtype(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "checkpoint", "llama", max_shard_size="60KB")
    weights = check_weights("it", path, trust_remote_code=False)
    loaded = sum(parameter.nbytes for parameter in load_target(str(path)).model.parameters())
    assert len(weights.files) > 1
    assert weights.bytes_in(None) == weights.bytes_in(torch.float32) == loaded
    assert weights.bytes_in(torch.bfloat16) * 2 == weights.bytes_in(None)


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_files_count_in_the_dtype_that_the_config_asks_for(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_checkpoint(tmp_path / "checkpoint")
    file = path / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(file).items()}, file, {"format": "pt"})
    config = json.loads((path / "config.json").read_text())
    config.pop("dtype", None)
    (path / "config.json").write_text(json.dumps({**config, key: "float32"}))
    size = check_weights("it", path, trust_remote_code=False).bytes_in(torch.float32)
    monkeypatch.setattr(memory, "available_bytes", lambda device: size * 3 // 4)
    with pytest.raises(TargetError, match="the weights need"):
        load_target(str(path))
    monkeypatch.undo()
    assert load_target(str(path)).dtype == torch.float32


def test_what_does_not_fit_is_said_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: 20_100_000_000)
    check_fits("my/model", 20_000_000_000, CPU, "pass --steering-dtype=bfloat16")
    with pytest.raises(TargetError) as caught:
        check_fits("my/model", 31_400_000_000, CPU, "pass --steering-dtype=bfloat16")
    assert str(caught.value) == (
        "my/model: the weights need 31.4 GB, 20.1 GB are free on cpu; pass --steering-dtype=bfloat16"
    )


def test_checkpoint_that_does_not_fit_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_checkpoint(tmp_path / "checkpoint")
    monkeypatch.setattr(memory, "available_bytes", lambda device: 100_000)
    with pytest.raises(TargetError) as caught:
        load_target(str(path))
    size = check_weights("it", path, trust_remote_code=False).bytes_in(None)
    assert str(caught.value) == (
        f"{path}: the weights need {size / 1e6:.1f} MB, 0.1 MB are free on cpu; "
        "pass --steering-dtype=bfloat16, or config:DIRECTORY to check shapes alone"
    )
    assert load_target(str(path), dtype="bf16").has_weights


def plan(available: int) -> Workload:
    return plan_workload(tiny_model("llama"), **BIG, available=available)  # type: ignore[arg-type]


def test_normal_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan(20_000_000_000) == Workload(rows=3, tokens=10, new_tokens=6, note="")
    monkeypatch.setattr(memory, "SMALL", 1)
    assert plan(20_000_000_000) == Workload(rows=3, tokens=6, new_tokens=4, note=""), "of a large model"


def test_workload_shrinks_tokens_before_rows() -> None:
    works = [plan(available) for available in range(2_000_000_000, 0, -20_000_000) if available > 200_000_000]
    shapes = list(dict.fromkeys((work.rows, work.tokens) for work in works))
    assert shapes[0] == (3, 10)
    assert shapes[-1] == (2, 4)
    assert [rows for rows, _ in shapes] == sorted((rows for rows, _ in shapes), reverse=True)
    assert (3, 4) in shapes


def test_shrunk_workload_says_so() -> None:
    assert plan(230_000_000) == Workload(2, 4, 2, "workload shrunk to 2 rows × 4 tokens: 0.2 GB free")


def test_no_workload_fits() -> None:
    with pytest.raises(TargetError) as caught:
        plan(90_000_000)
    sentence = str(caught.value)
    assert sentence.startswith("2 rows × 4 tokens need 0.2 GB beside the weights, 0.1 GB are free on cpu; ")


def test_estimate_covers_what_a_run_takes() -> None:
    """Four sets of residuals and logits, kept at once, are within half of what the plan asks to be free."""
    model = tiny_model("llama")
    sizes = {"hidden_size": 32, "num_layers": 4, "vocab_size": 264, "device": CPU}
    kept: list[torch.Tensor] = []
    hooks = [m.register_forward_hook(lambda m, a, out: kept.append(out)) for m in model.model.layers]  # type: ignore[union-attr]
    ids = torch.randint(3, 264, (3, 16))
    for _ in range(4):
        kept.append(model(input_ids=ids).logits)
    for hook in hooks:
        hook.remove()
    used = sum(tensor.numel() * tensor.element_size() for tensor in kept)
    least = next(free for free in range(0, 10_000_000, 10_000) if not _shrinks(model, free, sizes))
    assert used < least // 2 < 4 * used


def _shrinks(model: torch.nn.Module, free: int, sizes: dict[str, object]) -> bool:
    try:
        return bool(plan_workload(model, **sizes, available=free).note)  # type: ignore[arg-type]
    except TargetError:
        return True


def test_model_without_weights_needs_nothing(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "checkpoint")
    target = load_target(f"config:{tmp_path / 'checkpoint'}")
    assert plan_workload(target.model, **BIG, available=1) == Workload()  # type: ignore[arg-type]
