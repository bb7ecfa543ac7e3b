"""A second model of the same kind, of which a large one shares what nobody writes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from conformance.selftest.verdicts_of import verdicts
from pytest_steering import load_target
from pytest_steering.targets import memory


def _same(first: nn.Module, second: nn.Module) -> set[str]:
    others = dict(second.named_parameters())
    return {name for name, item in first.named_parameters() if item.data_ptr() == others[name].data_ptr()}


def test_a_small_model_shares_nothing_with_its_copy() -> None:
    target = load_target("tiny:gpt2")
    assert not _same(target.model, target.copied())


def test_a_large_model_shares_its_matrices_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SMALL", 0)
    target = load_target("tiny:gpt2")
    matrices = {name for name, item in target.model.named_parameters() if item.ndim > 1}
    copied = target.copied()
    assert _same(target.model, copied) == matrices
    assert not set(target.model.modules()) & set(copied.modules())


@pytest.mark.slow
def test_what_two_large_models_share_fails_or_passes_as_ever(tmp_path: Path) -> None:
    model, shared = "tiny:llama?hidden=1280&layers=3", "fixtures.known_bad.state:SharedByAllModels"
    adapters = [f"--steering-adapter={name}" for name in ("hooks", "folded", shared)]
    found = verdicts(
        tmp_path / "report.json",
        f"--steering-model={model}",
        *adapters,
        "-k",
        "two_models or nothing_is_kept or threads",
    )
    failed = {name.split()[-1]: row["failed"] for name, row in found.items()}
    assert failed == {"hooks": set(), "folded": set(), "SharedByAllModels": {"two-models", "threads"}}
